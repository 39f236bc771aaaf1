// Package exercisetest tries how many places something new of a kind touches: files are laid over
// the checkout, and a line is put into a table, and a test that is among the files has to pass.
package exercisetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An Exercise is something new of a kind. Paths are relative to the test's directory.
type Exercise struct {
	// Table is the file with the table, After the line of it behind which Line comes.
	Table, After, Line string
	// Files are laid over the checkout: where, and which.
	Files map[string]string
	// Package is that of the test TestExercise, which is among the files.
	Package string
}

// Run runs an exercise.
func Run(t *testing.T, e Exercise) {
	t.Helper()
	table, err := os.ReadFile(e.Table)
	if err != nil {
		t.Fatal(err)
	}
	longer := strings.Replace(string(table), e.After, e.After+e.Line, 1)
	if longer == string(table) {
		t.Fatalf("%s has no line %q", e.Table, e.After)
	}
	dir := t.TempDir()
	replace := map[string]string{absolute(t, e.Table): filepath.Join(dir, "table.go")}
	for where, which := range e.Files {
		replace[absolute(t, where)] = absolute(t, which)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "table.go"), []byte(longer), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-overlay", filepath.Join(dir, "overlay.json"),
		"-run", "^TestExercise$", "-v", e.Package).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestExercise") && !strings.Contains(string(out), "SKIPPED") {
		t.Errorf("%v: %s", err, out)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	found, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
