package reading_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewKindOfEvidence adds a kind of evidence, as an exercise: one file that parses it
// and judges its signatures, and one line in the table of kinds. Index, replay and map
// know it then; nothing of theirs is touched.
func TestNewKindOfEvidence(t *testing.T) {
	absolute := func(path ...string) string {
		found, err := filepath.Abs(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	table, err := os.ReadFile("kinds.go")
	if err != nil {
		t.Fatal(err)
	}
	const last = "\t{ledger.Narinfo, peekNarinfo, openNarinfo},\n"
	longer := strings.Replace(string(table), last, last+"\t{SignedList, peekList, openList},\n", 1)
	if longer == string(table) {
		t.Fatalf("kinds.go has no line %q", last)
	}
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		absolute("kinds.go"):      filepath.Join(dir, "kinds.go"),
		absolute("signedlist.go"): absolute("testdata", "exercise", "kind.go.txt"),
		absolute("..", "aggregator", "index", "exercise_test.go"): absolute("testdata", "exercise", "index_test.go.txt"),
	}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kinds.go"), []byte(longer), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-overlay", filepath.Join(dir, "overlay.json"),
		"-run", "^TestExercise$", "-v", "repronet.dev/aggregator/index").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestExercise") && !strings.Contains(string(out), "SKIPPED") {
		t.Errorf("%v: %s", err, out)
	}
}
