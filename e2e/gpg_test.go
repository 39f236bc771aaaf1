package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/internal/needtest"
)

// gpg is a GnuPG home with the keys of people.
type gpg struct {
	t    *testing.T
	home string
}

func newGPG(t *testing.T) *gpg {
	t.Helper()
	for _, program := range []string{"gpg", "gpg-agent", "gpgconf"} {
		needtest.Program(t, program, "gnupg")
	}
	home, err := os.MkdirTemp("", "gpg") //nolint:usetesting // the name of a socket in it has to be short
	if err != nil {
		t.Fatal(err)
	}
	g := &gpg{t, home}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--homedir", home, "--kill", "all")
		if err := kill.Run(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(home)
	})
	return g
}

// run calls gpg as if it were a certain time.
func (g *gpg) run(at time.Time, stdin string, args ...string) string {
	g.t.Helper()
	command := exec.CommandContext(g.t.Context(), "gpg", append([]string{
		"--homedir", g.home, "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", "",
		"--faked-system-time", strconv.FormatInt(at.Unix(), 10) + "!",
	}, args...)...)
	command.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		g.t.Fatalf("gpg %v: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// key makes a key; expire is as gpg takes it: "0", "1y".
func (g *gpg) key(at time.Time, who, expire string) {
	g.run(at, "", "--quick-generate-key", who+" <"+who+"@example.org>", "ed25519", "sign", expire)
}

func (g *gpg) export(at time.Time, who string) string {
	return g.run(at, "", "--armor", "--export", who+"@example.org")
}

func (g *gpg) sign(at time.Time, who, text string) string {
	return g.run(at, text, "--armor", "--local-user", who+"@example.org", "--detach-sign")
}

// A repository is a directory in the layout of Guix attestations.
type repository struct {
	*gpg
	dir string
}

// publish puts a document and its signature in place.
func (r *repository) publish(at time.Time, place, who, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, place+".SHA256SUMS")
	write(r.t, file, text)
	write(r.t, file+".asc", r.sign(at, who, text))
}

// sums returns the text of a document: "name=contents" for each row.
func sums(rows ...string) string {
	var text strings.Builder
	for _, row := range rows {
		name, contents, _ := strings.Cut(row, "=")
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256([]byte(contents)), name)
	}
	return text.String()
}

// smallRepository makes a repository of another project, in which all that can
// become of a document and a file does.
func smallRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{newGPG(t), t.TempDir()}
	made := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	for who, expire := range map[string]string{"ada": "0", "Grace.H": "0", "linus": "1y", "mallory": "0"} {
		r.key(made, who, expire)
		if who != "mallory" {
			write(t, filepath.Join(r.dir, "builder-keys", who+".gpg"), r.export(made, who))
		}
	}
	at := made.Add(24 * time.Hour)
	r.publish(at, "1.0/ada/all", "ada", sums("w-1.0.tar.gz=w1", "w-1.0.exe=exe", "w-1.0.dmg=a", "w-1.0.twice=x", "w-1.0.twice=x"))
	r.publish(at, "1.0/grace/all", "Grace.H", sums("w-1.0.tar.gz=w1", "w-1.0.exe=other", "w-1.0.dmg=wrong", "alone=g"))
	// Signed later: this is what counts of the dmg.
	r.publish(at.Add(time.Hour), "1.0/grace/codesigned", "Grace.H", sums("w-1.0.dmg=a"))
	// By a key that has expired since; filed under another release; a name twice.
	r.publish(at, "2.0/linus/all", "linus", sums("w-1.0.tar.gz=w1", "ambiguous=1", "ambiguous=2"))
	// After it had expired.
	r.publish(at, "2.0/ada/all", "ada", sums("ambiguous=1"))
	// By nobody's known key, in another's folder.
	r.publish(at, "2.0/ada/noncodesigned", "mallory", sums("w-1.0.tar.gz=evil"))
	// Paths, and rows that are none.
	r.publish(at.Add(time.Minute), "3.0/ada/all", "ada", sums("../../etc/passwd=p", "/etc/passwd=p", "sub/dir/w=w")+"no row\n")
	r.publish(at.Add(time.Minute), "3.0/grace/all", "Grace.H", sums("sub/dir/w=w"))
	// Changed after it was signed.
	r.publish(at, "4.0/ada/all", "ada", sums("w-4.0=honest"))
	write(t, filepath.Join(r.dir, "4.0/ada/all.SHA256SUMS"), sums("w-4.0=changed"))
	return r
}

// TestRelayAnyRepository does the same with a repository that is made here:
// nothing about a project is built in.
func TestRelayAnyRepository(t *testing.T) {
	t.Parallel()
	const project = "widget"
	r := smallRepository(t)
	s := startAggregator(t)
	if _, err := s.Command(t.Context(), "builders import-openpgp", "--project", project, r.dir); err != nil {
		t.Fatal(err)
	}
	got := relay(t, s, 1, "guix-sigs", "--project", project, r.dir) // one was changed
	want := expect(t, r.dir, time.Now())
	compareWithGPG(t, s, project, want, got)
	for _, verdict := range []string{"reproduced", "diverged", "single", "ambiguous"} {
		if len(want.verdicts[verdict]) == 0 {
			t.Errorf("the repository has no file that is %s: the test does not test much", verdict)
		}
	}
	output := getOutput(t, s.URL, project+"/w-1.0.dmg")
	statuses := map[string]int{}
	for _, c := range output.Claims {
		statuses[string(c.Status)]++
		if c.Kind != "openpgp-sums" || c.SignedOn.IsZero() {
			t.Errorf("claim without its kind or its time: %+v", c)
		}
	}
	if output.Verdict != "reproduced" || statuses["superseded"] != 1 {
		t.Errorf("the corrected file is %s, with claims %v", output.Verdict, statuses)
	}

	// Whoever pins the keys comes to the same, without believing the aggregator.
	home := t.TempDir()
	verify := func(args ...string) (string, int) {
		command := exec.CommandContext(t.Context(), programs().Verify(), args...)
		command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_STATE_HOME="+home, "XDG_DATA_HOME="+home, "HOME="+home)
		out, _ := command.CombinedOutput() // the status says it
		return string(out), command.ProcessState.ExitCode()
	}
	if out, status := verify("pin", "--yes", "--aggregator", s.URL); status != 0 {
		t.Fatalf("pinning: status %d\n%s", status, out)
	}
	agree, agreeStatus := verify("output", "--ecosystem", "release", project+"/w-1.0.dmg")
	differ, differStatus := verify("output", "--ecosystem", "release", project+"/w-1.0.exe")
	if agreeStatus != 0 || differStatus == 0 || !strings.Contains(agree, "superseded") || !strings.Contains(differ, "diverged") {
		t.Errorf("repronet-verify says, with status %d:\n%s\nand with status %d:\n%s", agreeStatus, agree, differStatus, differ)
	}
	// The index is made of the ledger alone.
	before := indexed(t, s.URL)
	if _, err := s.Command(t.Context(), "reindex"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, indexed(t, s.URL)); diff != "" {
		t.Errorf("after reindexing (-before +after):\n%s", diff)
	}

	// Relayed by a stranger for another project, they prove nothing.
	other := relay(t, s, 0, "guix-sigs", "--project", "gadget", r.dir)
	if other.Accepted != 0 {
		t.Errorf("%d documents count for a project whose keys are not enrolled", other.Accepted)
	}
	// The unknown key is enrolled: the same document counts when it comes again.
	write(t, filepath.Join(r.dir, "builder-keys", "mallory.gpg"), r.export(time.Now(), "mallory"))
	if _, err := s.Command(t.Context(), "builders import-openpgp", "--project", project, r.dir); err != nil {
		t.Fatal(err)
	}
	compareWithGPG(t, s, project, expect(t, r.dir, time.Now()), relay(t, s, 1, "guix-sigs", "--project", project, r.dir))
	r.erase(s, project)
}

// erase has somebody's certificate erased: everything is as if it had never been
// there, for gpg too, and for whoever replays.
func (r *repository) erase(s *server, project string) {
	t := r.t
	t.Helper()
	var builders []api.RosterBuilder
	if err := json.Unmarshal([]byte(s.admin(t, "builders list", "--json")), &builders); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(builders, func(b api.RosterBuilder) bool { return b.Operator == "ada" })
	if i < 0 {
		t.Fatalf("ada is not enrolled: %+v", builders)
	}
	sum := builders[i].OpenPGP[0].Certificate
	if _, err := s.Command(t.Context(), "erase", "--reason", "asked for", sum); err == nil {
		t.Error("erased without --yes")
	}
	s.admin(t, "erase", "--reason", "asked for", "--yes", sum)
	if _, err := s.Command(t.Context(), "erase", "--reason", "asked for", "--yes", sum); err == nil {
		t.Error("erased twice")
	}
	if _, err := s.Command(t.Context(), "builders import-openpgp", "--project", project, r.dir); err == nil {
		t.Error("the erased certificate is imported again")
	}
	if err := os.Remove(filepath.Join(r.dir, "builder-keys", "ada.gpg")); err != nil {
		t.Fatal(err)
	}
	compareWithGPG(t, s, project, expect(t, r.dir, time.Now()), relay(t, s, 0, "guix-sigs", "--project", project, r.dir))
	identical(t, s)
}
