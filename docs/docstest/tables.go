// Package docstest holds tables of documents to what tests made.
package docstest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite what tests write in docs/")

// BadInput holds a part of docs/bad-input.md to what the test of a package made; -update
// rewrites it. The part begins behind the line that names the package, such as
// "aggregator/ingest", and goes to the line with the comment end.
func BadInput(t *testing.T, pkg, end, tables string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "bad-input.md") // the tests' packages are two deep
	begin, last := "<!-- written by go test ./"+pkg+" -update -->\n", "<!-- "+end+" -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	old, after, ended := strings.Cut(rest, last)
	if !found || !ended {
		t.Fatalf("%s has no %q … %q", path, begin, last)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+tables+last+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, tables); diff != "" {
		t.Errorf("%s is out of date (-document +test); run go test ./%s -update:\n%s", path, pkg, diff)
	}
}
