package snapshot_test

import (
	"regexp"
	"testing"

	"repronet.dev/snapshot"
)

// TestViews: every view and column is named as SQL can write it without quotes, and says
// what it is.
func TestViews(t *testing.T) {
	plain := regexp.MustCompile(`^[a-z][a-z_]*$`)
	names := map[string]bool{}
	for _, v := range snapshot.Views() {
		if !plain.MatchString(v.Name) || names[v.Name] || v.Description == "" || len(v.Columns) < 3 {
			t.Errorf("view %+v", v)
		}
		names[v.Name] = true
		columns := map[string]bool{}
		for _, c := range v.Columns {
			if !plain.MatchString(c.Name) || columns[c.Name] || c.Description == "" || c.Type == "" {
				t.Errorf("column %+v of %s", c, v.Name)
			}
			columns[c.Name] = true
		}
	}
}
