package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/snapshot"
)

// viewsPattern matches the tables of views.
var viewsPattern = regexp.MustCompile(`(?s)<!-- views -->\n(.*)<!-- end of the views -->\n`)

// TestViews compares the tables of research.md with the views that there are.
func TestViews(t *testing.T) {
	text, err := os.ReadFile("research.md")
	if err != nil {
		t.Fatal(err)
	}
	want := tables()
	if *update {
		text = viewsPattern.ReplaceAllLiteral(text, []byte("<!-- views -->\n"+want+"<!-- end of the views -->\n"))
		if err := os.WriteFile("research.md", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := viewsPattern.FindSubmatch(text)
	if m == nil {
		t.Fatal("research.md has no place for the views")
	}
	if diff := cmp.Diff(string(m[1]), want); diff != "" {
		t.Errorf("the views are out of date (-document +code); run go test ./docs -update:\n%s", diff)
	}
}

func tables() string {
	var text strings.Builder
	for _, v := range snapshot.Views() {
		fmt.Fprintf(&text, "\n### %s\n\n%s Files: `%s`.\n\n| column | type | meaning |\n|---|---|---|\n", v.Name, v.Description, v.Glob())
		for _, c := range v.Columns {
			kind := string(c.Type)
			if c.Nullable {
				kind += ", may be NULL"
			}
			fmt.Fprintf(&text, "| `%s` | %s | %s |\n", c.Name, kind, c.Description)
		}
	}
	return text.String() + "\n"
}
