package ecosystem_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewEcosystem adds an ecosystem, as an exercise: one file, and one line in the table.
// Statements, pages and searches by package URL know it then; nothing of theirs is touched.
func TestNewEcosystem(t *testing.T) {
	absolute := func(path ...string) string {
		found, err := filepath.Abs(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	table, err := os.ReadFile("ecosystem.go")
	if err != nil {
		t.Fatal(err)
	}
	const last = "\tGeneric: {Name: Generic, rules: genericRules},\n"
	longer := strings.Replace(string(table), last, last+"\tRPM:     {Name: RPM, rules: rpmRules},\n", 1)
	if longer == string(table) {
		t.Fatalf("ecosystem.go has no line %q", last)
	}
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		absolute("ecosystem.go"):                          filepath.Join(dir, "ecosystem.go"),
		absolute("rpm.go"):                                absolute("testdata", "exercise", "rpm.go.txt"),
		absolute("..", "attestation", "exercise_test.go"): absolute("testdata", "exercise", "names_test.go.txt"),
	}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ecosystem.go"), []byte(longer), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-overlay", filepath.Join(dir, "overlay.json"),
		"-run", "^TestExercise$", "-v", "repronet.dev/attestation").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestExercise") {
		t.Errorf("%v: %s", err, out)
	}
}
