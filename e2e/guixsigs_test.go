package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/dashboard"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/internal/needtest"
)

// relayed is what repronet-reporter relay --json says.
type relayed struct {
	Documents, Accepted, Kept, Refused, Failed, Duplicates int

	States     map[string]int
	Exceptions []struct{ Document, Outcome, Reason string }
	Rows       struct{ Total, Judged, Ambiguous, Unread, NotCounted int }
	Unread     []struct {
		Document, Reason string
		Rows, Line       int
	}
	Files struct{ Total, Documents, Signatures, Keys, Others int }
}

// relay hands documents on, with the log's key pinned. Its exit status has to be
// the one given.
func relay(t *testing.T, s *server, status int, args ...string) relayed {
	t.Helper()
	key, err := fetch(t.Context(), s.URL+"/log/key")
	if err != nil {
		t.Fatal(err)
	}
	args = append(append([]string{"relay"}, args...), "--json", "--dir", t.TempDir(), "--aggregator", s.URL, "--log-key", strings.TrimSpace(string(key)))
	command := exec.CommandContext(t.Context(), programs().Reporter(), args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if got := command.ProcessState.ExitCode(); got != status {
		t.Fatalf("relay ended with status %d, want %d: %v\n%s", got, status, err, stderr.String())
	}
	var r relayed
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if sum := r.Accepted + r.Kept + r.Refused + r.Failed; sum != r.Documents {
		t.Errorf("%d of %d documents are accounted for", sum, r.Documents)
	}
	if sum := r.Rows.Judged + r.Rows.Ambiguous + r.Rows.Unread + r.Rows.NotCounted; sum != r.Rows.Total {
		t.Errorf("%d of %d rows are accounted for", sum, r.Rows.Total)
	}
	for _, e := range r.Exceptions {
		if e.Document == "" || e.Reason == "" {
			t.Errorf("an exception without a name or reason: %+v", e)
		}
	}
	return r
}

// expected is what gpg and awk say a repository comes to.
type expected struct {
	counts   map[string]int
	verdicts map[string][]string // names by verdict
}

func expect(t *testing.T, dir string, at time.Time) expected {
	t.Helper()
	needtest.Program(t, "gpg", "gnupg")
	script := exec.CommandContext(t.Context(), "./guix-sigs-expected.sh", dir, strconv.FormatInt(at.Unix(), 10))
	script.Stderr = os.Stderr
	out, err := script.Output()
	if err != nil {
		t.Fatal(err)
	}
	e := expected{map[string]int{}, map[string][]string{}}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if words[0] != "count" {
			e.verdicts[words[0]] = append(e.verdicts[words[0]], words[1])
			continue
		}
		if e.counts[words[1]], err = strconv.Atoi(words[2]); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// compareWithGPG compares what became of the documents, and the API's answers,
// with what the script says.
func compareWithGPG(t *testing.T, s *server, project string, want expected, r relayed) {
	t.Helper()
	outcomes := map[string]int{
		"documents": r.Documents, "counted": r.Accepted, "kept": r.Kept, "refused": r.Refused, "failed": r.Failed,
	}
	wantOutcomes := map[string]int{
		"documents": want.counts["documents"], "counted": want.counts["valid"] + want.counts["expired-since"],
		"kept":    want.counts["unknown-key"] + want.counts["revoked"] + want.counts["outside-validity"],
		"refused": want.counts["bad-signature"], "failed": 0,
	}
	if diff := cmp.Diff(wantOutcomes, outcomes); diff != "" {
		t.Errorf("documents (-gpg +relay):\n%s", diff)
	}
	for state, n := range r.States {
		if n != want.counts[state] {
			t.Errorf("%d documents are %s, gpg says %d", n, state, want.counts[state])
		}
	}
	summary := indexed(t, s.URL)
	got := map[string]uint64{"reproduced": summary.Reproduced, "diverged": summary.Diverged, "single": summary.Single, "compared": summary.Compared, "outputs": summary.Outputs}
	n := func(verdict string) uint64 { return uint64(len(want.verdicts[verdict])) }
	wantSummary := map[string]uint64{
		"reproduced": n("reproduced"), "diverged": n("diverged"), "single": n("single"),
		"compared": n("reproduced") + n("diverged"), "outputs": n("reproduced") + n("diverged") + n("single"),
	}
	if diff := cmp.Diff(wantSummary, got); diff != "" {
		t.Errorf("/summary (-gpg and awk +ours):\n%s", diff)
	}
	page := get[dashboard.DivergencePage](t, s.URL, "/divergences?limit=1000")
	var diverged []string
	for _, d := range page.Divergences {
		diverged = append(diverged, strings.TrimPrefix(d.Key, project+"/"))
	}
	slices.Sort(diverged)
	if diff := cmp.Diff(want.verdicts["diverged"], diverged); diff != "" {
		t.Errorf("/divergences (-gpg and awk +ours):\n%s", diff)
	}
	for _, name := range want.verdicts["ambiguous"] {
		output := getOutput(t, s.URL, project+"/"+name)
		if !slices.ContainsFunc(output.Claims, func(c dashboard.Claim) bool { return c.Status == "ambiguous" && !c.Counts }) {
			t.Errorf("%s: no claim is shown as ambiguous", name)
		}
		if page, err := fetch(t.Context(), s.URL+"/builds/"+url.PathEscape(project+"/"+name)); err != nil || !strings.Contains(string(page), "ambiguous") {
			t.Errorf("the page of %s does not show that it is ambiguous (%v)", name, err)
		}
	}
}

// TestRelayRealAttestations relays a public repository of Guix attestations into a
// fresh aggregator; every number must be what gpg and awk make of the files alone. Without
// REPRONET_GUIX_SIGS=all it is those that are remarkable (make test-gpg has all).
func TestRelayRealAttestations(t *testing.T) {
	t.Parallel()
	const project = "bitcoin-core"
	documents, releases := 2946, []string(nil)
	if os.Getenv("REPRONET_GUIX_SIGS") != "all" {
		documents, releases = 193, []string{"22.0rc1", "22.0rc3", "23.0rc1", "23.0rc2", "26.0rc1", "29.4", "30.0"}
	}
	dir := guixsigstest.Extract(t, releases...)
	s := startAggregator(t)
	if _, err := s.Command(t.Context(), "builders import-openpgp", "--project", project, dir); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r := relay(t, s, 0, "guix-sigs", "--project", project, dir)
	taken := time.Since(begin)
	summary := indexed(t, s.URL)
	t.Logf("%d documents relayed in %.1f s, indexed after %.1f s (goal: 60 s); %d accepted, %d kept: %v",
		r.Documents, taken.Seconds(), time.Since(begin).Seconds(), r.Accepted, r.Kept, r.States)
	if r.Documents != documents || summary.Reproduced == 0 {
		t.Errorf("%d documents, %d reproduced: that is not the data set", r.Documents, summary.Reproduced)
	}
	compareWithGPG(t, s, project, expect(t, dir, begin), r)
	identical(t, s)

	again := relay(t, s, 0, "guix-sigs", "--project", project, dir)
	if again.Duplicates != again.Documents || indexed(t, s.URL).LedgerSize != summary.LedgerSize {
		t.Errorf("relaying again: %d of %d are duplicates", again.Duplicates, again.Documents)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
