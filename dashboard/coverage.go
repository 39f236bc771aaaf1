package dashboard

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

// suggestedOnPage is how many builds the page names; the API gives up to 1,000.
const suggestedOnPage = 40

type coveragePage struct {
	frame
	Set      string // whose builds are suggested; "" where no set is published
	System   string
	Sets     []setRow
	More     uint64 // sets that are not shown
	Revision string
	Confirm  string // outputs that one operator has
	Begin    string // outputs that nobody has
	Rows     []suggestionRow
	Commands []command
}

type suggestionRow struct {
	Name       name
	Attribute  string
	System     string
	Confirm    bool
	Since      moment
	Dependents string
	Outputs    int
}

func (d *Dashboard) coverage(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	v := &coveragePage{
		frame: frame{Title: "Coverage", Section: "/coverage"},
		Set:   c.Query("set"), System: c.Query("system"),
	}
	rows, all, err := d.setRows(ctx, v.Set, overviewSets)
	if err != nil {
		return "", nil, err
	}
	for i := range rows {
		rows[i].Href = withSet("/coverage", rows[i].Set.Name)
	}
	v.Sets, v.More = rows, all-uint64(len(rows))
	if v.Set == "" && len(rows) > 0 {
		v.Set = rows[0].Set.Name
		v.Sets[0].Current = true
	}
	if v.Set == "" {
		return "coverage", v, nil
	}
	return "coverage", v, d.suggested(ctx, v, d.BaseURL(c))
}

// suggested adds what is worth building next.
func (d *Dashboard) suggested(ctx context.Context, v *coveragePage, base string) error {
	query := api.SuggestionQuery{Set: v.Set, System: v.System, Limit: suggestedOnPage}
	found, err := d.config.Suggestions(ctx, query)
	if err != nil {
		return Missing(err, "No package set named “%s” is published here.", v.Set)
	}
	v.JSON, v.Revision = query.URL(api.SuggestionsPath), found.Revision
	v.Confirm, v.Begin = count(found.Confirmable, "output"), count(found.Unbuilt, "output")
	now := time.Now()
	for _, s := range found.Suggestions {
		row := suggestionRow{
			Name: outputName(OutputRow{Key: s.Outputs[0], Ecosystem: s.Ecosystem, Build: s.Build}), Attribute: s.Attribute, System: s.System,
			Confirm: s.Reason == api.Confirm, Outputs: len(s.Outputs),
		}
		if s.Dependents > 0 {
			row.Dependents = number(s.Dependents)
		}
		if s.Since != nil {
			row.Since = newMoment(*s.Since, now)
		}
		v.Rows = append(v.Rows, row)
	}
	v.Commands = suggestedCommands(base, v.Set)
	return nil
}
