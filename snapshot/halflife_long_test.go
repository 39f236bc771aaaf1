//go:build long

package snapshot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
	"repronet.dev/snapshot"
)

// TestHalfLife: a researcher with Debian's Python and nothing else plots the half-life that
// was planted in a ledger.
func TestHalfLife(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has Debian's packages
	if err := exec.CommandContext(t.Context(), python, "-c", "import pandas, matplotlib").Run(); err != nil {
		needtest.Lacking(t, "install python3-pandas and python3-matplotlib")
	}
	w := newWorld(t)                               // where 8 to 11 diverge from now on
	w.say(w.alice, attestation.Rebuild, 40, 48, 1) // and so do 40 to 47
	w.say(w.bob, attestation.Rebuild, 40, 48, 2)
	const day = 24 * time.Hour
	w.SetAhead(2 * day)
	w.say(w.bob, attestation.Withdraw, 40, 43, 2)
	w.SetAhead(5 * day)
	w.say(w.bob, attestation.Withdraw, 43, 46, 2)
	w.SetAhead(9 * day)
	w.say(w.bob, attestation.Rebuild, 60, 61, 1)

	dir := w.make(w.config(filepath.Join(t.TempDir(), "snapshot")))
	table, picture := filepath.Join(t.TempDir(), "changes.csv"), filepath.Join(t.TempDir(), "halflife.svg")
	f, err := os.Create(table)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := snapshot.WriteCSV(t.Context(), f, dir, "changes"); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join("..", "docs", "research", "halflife.py")
	out, err := exec.CommandContext(t.Context(), python, script, table, picture).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "5" { // 3 of 12 after two days, 6 after five
		t.Errorf("the half-life is %q, %v", out, err)
	}
	if drawn, err := os.ReadFile(picture); err != nil || !strings.Contains(string(drawn), "<svg") {
		t.Errorf("the picture: %d bytes, %v", len(drawn), err)
	}
	text, err := os.ReadFile(script)
	if lines := strings.Count(string(text), "\n"); err != nil || lines >= 20 {
		t.Errorf("%d lines, %v", lines, err)
	}
}
