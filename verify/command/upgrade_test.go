package command

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/verify/verifytest"
)

// older builds the program as it was before a kind of evidence was added: without its
// line in the table of package reading. Nothing else differs, so that this also shows
// that the line is all that a kind needs outside the package that reads it.
func older(t *testing.T) string {
	t.Helper()
	table, err := filepath.Abs(filepath.Join("..", "..", "reading", "kinds.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	const line = "\t{ledger.Narinfo, peekNarinfo, openNarinfo},\n"
	if strings.Count(string(text), line) != 1 {
		t.Fatalf("%s has not the one line %q", table, line)
	}
	dir := t.TempDir()
	without := filepath.Join(dir, "kinds.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {table: without}})
	if err == nil {
		err = os.WriteFile(without, []byte(strings.Replace(string(text), line, "", 1)), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "repronet-verify")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "repronet.dev/cmd/repronet-verify").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// build builds the program as it is.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "repronet-verify")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "repronet.dev/cmd/repronet-verify").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestUpgrade: an older monitor, mirror and replay of an honest newer ledger are
// undecided and convict nobody, and the newer program goes on with what they kept.
func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	l, home := w.ledger, t.TempDir()
	run := func(program string, status int, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
		out, err := c.CombinedOutput()
		if c.ProcessState == nil || c.ProcessState.ExitCode() != status {
			t.Fatalf("%v: %v, want exit status %d: %s", args, err, status, out)
		}
		return string(out)
	}
	before, after := older(t), build(t)
	l.Attest(w.builders["alice"], verifytest.Digest(1))
	l.Publish()
	run(before, 0, "pin", "--aggregator", w.url, "--yes")
	run(before, 0, "monitor", "--once")

	path := "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello"
	l.Append(ledger.Narinfo, fmt.Appendf(nil, "StorePath: %s\nNarHash: sha256:%s\nNarSize: 1\n", path, strings.Repeat("1", 64)))
	l.Attest(w.builders["bob"], verifytest.Digest(1))
	commit(t, l)
	for range 2 {
		if out := run(before, 4, "monitor", "--once"); !strings.Contains(out, "newer:") || strings.Contains(out, "maproot:") {
			t.Errorf("the older monitor says %s", out)
		}
		run(before, 4, "output", verifytest.Output, "--quorum", "2")
		run(before, 4, "replay", "--all-maps")
	}
	if out := run(after, 0, "monitor", "--once"); !strings.Contains(out, "ok:") {
		t.Errorf("the upgraded monitor says %s", out)
	}
	run(after, 0, "output", verifytest.Output, "--quorum", "2")
	if out := run(after, 0, "replay", "--all-maps"); !strings.Contains(out, "1 map roots checked") {
		t.Errorf("the upgraded replay says %s", out)
	}
}

// commit commits to the map of the ledger by the rules of this program.
func commit(t *testing.T, l *verifytest.Ledger) {
	t.Helper()
	size := l.Publish().Size
	sorter := outputmap.NewSorter(t.TempDir())
	defer sorter.Close()
	for record, err := range ledger.NewReader(ledger.Dir(l.Dir), nil).Local(size).Records(t.Context(), 0, size) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := record.Entry()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := outputmap.Keys(record.Index, entry)
		if err == nil {
			err = sorter.Add(record.Index, keys...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := outputmap.Sum(sorter.Pairs(nil), size)
	if err != nil {
		t.Fatal(err)
	}
	body, err := root.Encode()
	if err != nil {
		t.Fatal(err)
	}
	l.Append(ledger.MapRoot, body)
	l.Publish()
}
