package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet.dev/evidence/guixsigs/guixsigstest"
)

// TestRelayEveryLayout relays directories with documents, keys and rows in all the
// ways in which public repositories have them: every file and row is accounted for.
func TestRelayEveryLayout(t *testing.T) {
	t.Parallel()
	s := startAggregator(t)
	made, gitian := guixsigstest.MakeSums(t, time.Now().Add(-time.Hour)), guixsigstest.MakeGitian(t, time.Now().Add(-time.Hour))

	var imported struct {
		Enrolled, Skipped int
		Files             struct{ Total, Keys, Unusable, Documents, Others int }
		Imported          []struct{ File, Operator string }
		CannotCount       []struct{ File, Reason string }
		SameUserID        []struct{ Files, Operators []string }
	}
	out, err := s.Command(t.Context(), "builders import-openpgp", "--project", "demo", "--keys", made.Keys, "--operator-of", "alice.asc=bob", "--json", made.Dir)
	if err == nil {
		err = json.Unmarshal([]byte(out), &imported)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f := imported.Files
	if imported.Enrolled != 23+4 || imported.Skipped != 0 || f.Keys != 23+4 || f.Total != f.Keys+f.Unusable+f.Documents+f.Others {
		t.Errorf("imported %+v", imported)
	}
	operators := map[string]string{}
	for _, of := range imported.Imported {
		operators[filepath.Base(of.File)] = of.Operator
	}
	if operators["alice.asc"] != "bob" || operators["bob"] == "bob" || operators["dora.gpg"] != "dora" {
		t.Errorf("operators %v", operators)
	}

	// Two files that have to be documents cannot be read: that is a failure, and told.
	r := relay(t, s, 1, "guix-sigs", "--project", "demo", made.Dir)
	if r.Accepted != len(made.Documents) || r.Failed != len(made.Bad) || r.Kept+r.Refused != 0 {
		t.Errorf("documents: %+v", r)
	}
	if r.Rows.Total != made.Rows.Total || r.Rows.Judged != made.Rows.Read-made.Rows.Ambiguous || r.Rows.Ambiguous != made.Rows.Ambiguous || r.Rows.Unread != made.Rows.Unread || r.Rows.NotCounted != 0 {
		t.Errorf("rows %+v, want %+v", r.Rows, made.Rows)
	}
	if len(r.Unread) != 1 || r.Unread[0].Document != "spelled/checksums.txt" || r.Unread[0].Rows != 2 || r.Unread[0].Line != 11 || r.Unread[0].Reason == "" {
		t.Errorf("not read: %+v", r.Unread)
	}
	if r.Files.Total != r.Files.Documents+r.Files.Signatures+r.Files.Keys+r.Files.Others || r.Files.Others != len(made.Others) || r.Files.Keys != 23+3 {
		t.Errorf("files %+v", r.Files)
	}
	indexed(t, s.URL)
	for _, name := range made.Names {
		want := map[bool]string{true: "reproduced", false: "single"}[!strings.HasPrefix(name, "s-")]
		if name == "s-twice.zip" {
			want = "unbuilt" // ambiguous
		}
		if got := getOutput(t, s.URL, "demo/"+name); string(got.Verdict) != want {
			t.Errorf("%s: %s, want %s", name, got.Verdict, want)
		}
	}

	if out, err := s.Command(t.Context(), "builders import-openpgp", "--project", "gitian", gitian.Dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g := relay(t, s, 1, "gitian", "--project", "gitian", gitian.Dir)
	if g.Accepted != len(gitian.Documents) || g.Refused != len(gitian.Bad) || g.Rows.Judged != gitian.Rows.Read {
		t.Errorf("assertions: %+v", g)
	}
	indexed(t, s.URL)
	for _, name := range gitian.Names {
		if got := getOutput(t, s.URL, "gitian/"+name); got.Verdict != "reproduced" {
			t.Errorf("%s: %s", name, got.Verdict)
		}
	}
	identical(t, s)
}

// TestRelayOfNothing: where there is nothing to relay, a command fails and says what
// it looked for.
func TestRelayOfNothing(t *testing.T) {
	t.Parallel()
	s := startAggregator(t)
	empty, other := t.TempDir(), t.TempDir()
	write(t, filepath.Join(other, "README.md"), "hello\n")
	for _, test := range []struct{ args, want []string }{
		{[]string{"guix-sigs", "--project", "demo", empty}, []string{"no document was found among 0 files", "SHA256SUMS"}},
		{[]string{"guix-sigs", "--project", "demo", other}, []string{"no document was found among 1 files"}},
		{[]string{"gitian", "--project", "demo", other}, []string{"no document was found among 1 files", "NAME.assert"}},
		{[]string{"narinfo", other}, []string{"no document was found among 1 files", "*.narinfo"}},
		{[]string{"narinfo", s.URL, "-"}, []string{"no document was found", "store paths"}},
	} {
		command := exec.CommandContext(t.Context(), programs().Reporter(), append(append([]string{"relay"}, test.args...), "--dir", t.TempDir(), "--aggregator", s.URL)...)
		output, err := command.CombinedOutput()
		if command.ProcessState.ExitCode() != 1 {
			t.Errorf("%v: %v: %s", test.args, err, output)
		}
		if slices.ContainsFunc(test.want, func(w string) bool { return !strings.Contains(string(output), w) }) {
			t.Errorf("%v says:\n%s", test.args, output)
		}
	}
	if out, err := s.Command(t.Context(), "builders import-openpgp", "--project", "demo", other); err == nil || !strings.Contains(err.Error(), "no keys were found") {
		t.Errorf("import: %v: %s", err, out)
	}
}
