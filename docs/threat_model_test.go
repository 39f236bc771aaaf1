package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel: each test that the threat model names is there.
func TestThreatModel(t *testing.T) {
	text, err := os.ReadFile("threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "## Attacks and their tests")
	if !found {
		t.Fatal("the threat model has no table of attacks")
	}
	named := regexp.MustCompile("`([a-z0-9/-]+)` ((?:(?:Test|Fuzz)[A-Za-z0-9_/]+(?:, )?)+)")
	tests := 0
	for _, match := range named.FindAllStringSubmatch(table, -1) {
		sources := sourcesOf(t, match[1])
		for name := range strings.SplitSeq(match[2], ", ") {
			function, _, _ := strings.Cut(name, "/")
			if function == "" {
				continue
			}
			tests++
			if !strings.Contains(sources, "func "+function+"(") {
				t.Errorf("package %s has no test %s", match[1], function)
			}
		}
	}
	if all := len(regexp.MustCompile(`\b(Test|Fuzz)[A-Z]`).FindAllString(table, -1)); tests < all*9/10 {
		t.Errorf("%d of %d tests were found with their packages", tests, all)
	}
}

// sourcesOf returns the tests of a package.
func sourcesOf(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("package %s has no tests: %v", pkg, err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
