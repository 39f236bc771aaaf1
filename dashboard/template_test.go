package dashboard

import (
	"testing"

	"github.com/jba/templatecheck"
)

// TestTemplates checks every field, function and part that a page's template
// names against the page's view model, also where no test's data leads.
func TestTemplates(t *testing.T) {
	pages, err := parsePages()
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if err := templatecheck.CheckHTML(page.template, page.model); err != nil {
			t.Errorf("page %s: %v", name, err)
		}
	}
}
