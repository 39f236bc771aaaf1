package dashboard

import (
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"repronet/signing"
)

// divergencesOnPage keeps the page light; the API gives up to 1,000 at once.
const divergencesOnPage = 40

type divergencesPage struct {
	frame
	Filter   DivergenceQuery
	Filtered bool
	Total    string
	Rows     []divergenceRow
	Next     string // URL of the next page
	First    string // URL of the first, "" on it
	Clear    string
	Sets     []string
	Shapes   []choice
	Causes   []choice
}

// A choice is a value of a filter, also offered as a link that keeps the other
// filters.
type choice struct {
	Value, Explained, Href string
	Chosen                 bool
}

type divergenceRow struct {
	Name       name
	Shape      string
	Cause      string
	Regression bool
	Since      moment
	Index      uint64
	Operators  int
	Dissent    string // who disagrees, in words
	Factions   []factionRow
}

// A factionRow is who got one digest, cut to what fits a list.
type factionRow struct {
	Mark      mark
	Operators []string
	More      int
}

// namedOperators is how many of a faction's operators a list names.
const namedOperators = 4

func newDivergenceRow(divergence Divergence, now time.Time) divergenceRow {
	row := divergenceRow{
		Name:       outputName(divergence.OutputRow),
		Shape:      divergence.Shape,
		Cause:      divergence.Cause,
		Regression: divergence.Previous == "reproduced",
		Since:      newMoment(divergence.Since, now),
		Index:      divergence.Index,
		Operators:  divergence.Operators,
		Dissent:    dissent(divergence),
	}
	for i, faction := range divergence.Factions {
		if i == len(markSymbols) {
			break
		}
		named := faction.Operators[:min(len(faction.Operators), namedOperators)]
		row.Factions = append(row.Factions, factionRow{newMark(i, faction.Digest), named, len(faction.Operators) - len(named)})
	}
	return row
}

// dissent says in words who disagrees with whom.
func dissent(divergence Divergence) string {
	factions := divergence.Factions
	switch divergence.Shape {
	case "self":
		for i, faction := range factions {
			for _, operator := range faction.Operators {
				if slices.ContainsFunc(factions[i+1:], func(f Faction) bool { return slices.Contains(f.Operators, operator) }) {
					return operator + " got different digests itself"
				}
			}
		}
	case "outlier":
		if last := factions[len(factions)-1]; len(factions) == 2 && len(last.Operators) == 1 {
			return last.Operators[0] + " against " + number(uint64(len(factions[0].Operators))) + " who agree"
		}
	case "scatter":
		return "no two operators agree"
	}
	return count(uint64(len(factions)), "group") + " of operators"
}

func shapeChoices() []choice {
	return []choice{
		{Value: "self", Explained: "an operator got several digests itself"},
		{Value: "scatter", Explained: "no two operators agree"},
		{Value: "outlier", Explained: "one operator against all others"},
		{Value: "split", Explained: "several groups"},
	}
}

func causeChoices() []choice {
	return []choice{
		{Value: "own", Explained: "same inputs, different outputs"},
		{Value: "inherited", Explained: "an input diverged before"},
		{Value: "unknown", Explained: "inputs are not comparable"},
	}
}

func (d *Dashboard) divergences(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	query := DivergenceQuery{
		Set: c.Query("set"), Shape: c.Query("shape"), Cause: c.Query("cause"), Maintainer: c.Query("maintainer"),
		Limit: divergencesOnPage, Cursor: c.Query("cursor"),
	}
	shapes, causes := shapeChoices(), causeChoices()
	if !offered(shapes, query.Shape) {
		return "", nil, invalid("A divergence's shape is self, scatter, outlier or split.")
	}
	if !offered(causes, query.Cause) {
		return "", nil, invalid("A divergence's cause is own, inherited or unknown.")
	}
	if builder := c.Query("builder"); builder != "" {
		id, err := signing.ParseBuilderID(builder)
		if err != nil {
			return "", nil, invalid("A builder is given by its ID: %v.", err)
		}
		query.Builder = id
	}
	found, err := d.source.Divergences(ctx, query)
	if err != nil {
		return "", nil, missing(err, "There is no such package set, or this page of the list is gone. Begin at the newest divergences.")
	}
	sets, err := d.source.Sets(ctx)
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	filter := query
	filter.Limit, filter.Cursor = 0, ""
	api := query
	api.Limit = 0
	v := &divergencesPage{
		frame:    frame{Title: "Divergences", Section: "/divergences", JSON: divergencesURL("/api/v1/divergences", api)},
		Filter:   filter,
		Filtered: filter != DivergenceQuery{},
		Total:    count(found.Total, "output"),
		Clear:    "/divergences",
	}
	for _, set := range sets {
		v.Sets = append(v.Sets, set.Name)
	}
	for i := range shapes {
		shapes[i] = shapes[i].link(filter, filter.Shape, func(q *DivergenceQuery, value string) { q.Shape = value })
	}
	for i := range causes {
		causes[i] = causes[i].link(filter, filter.Cause, func(q *DivergenceQuery, value string) { q.Cause = value })
	}
	v.Shapes, v.Causes = shapes, causes
	for _, divergence := range found.Divergences {
		v.Rows = append(v.Rows, newDivergenceRow(divergence, now))
	}
	if query.Cursor != "" {
		v.First = divergencesURL("/divergences", filter)
	}
	if found.Next != "" {
		filter.Cursor = found.Next
		v.Next = divergencesURL("/divergences", filter)
	}
	return "divergences", v, nil
}

// link completes a choice: choosing it sets its filter, choosing it again
// clears it.
func (ch choice) link(filter DivergenceQuery, chosen string, set func(*DivergenceQuery, string)) choice {
	ch.Chosen = ch.Value == chosen
	if ch.Chosen {
		set(&filter, "")
	} else {
		set(&filter, ch.Value)
	}
	ch.Href = divergencesURL("/divergences", filter)
	return ch
}

func offered(choices []choice, value string) bool {
	return value == "" || slices.ContainsFunc(choices, func(ch choice) bool { return ch.Value == value })
}
