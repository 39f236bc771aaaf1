package dashboard

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/signing"
)

// divergencesOnPage keeps the page light; the API gives up to 1,000 at once.
const divergencesOnPage = 40

type divergencesPage struct {
	frame
	Filter   DivergenceQuery
	Wrong    string // sentence on a filter that nothing can have; "" if all are good
	Filtered bool
	Total    string
	Rows     []divergenceRow
	Next     string // URL of the next page
	First    string // URL of the first, "" on it
	Clear    string
	Feed     string // URL
	CSV      string
	List     string // as JSON
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
	Name      name
	Shape     string
	Cause     string
	Regressed *name // the reproduced output of an earlier revision in whose place it came
	Late      bool  // agreement was there before dissent
	Since     moment
	Index     uint64
	Operators int
	Dissent   string // who disagrees, in words
	Factions  []factionRow
	More      int // factions left out
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
		Name:      outputName(divergence.OutputRow),
		Shape:     string(divergence.Shape),
		Cause:     string(divergence.Cause),
		Late:      divergence.Previous == api.Reproduced,
		Since:     newMoment(divergence.Since, now),
		Index:     divergence.Index,
		Operators: divergence.Operators,
		Dissent:   dissent(divergence),
	}
	if divergence.Regressed != "" {
		was := outputName(OutputRow{Key: divergence.Regressed, Ecosystem: divergence.Ecosystem})
		row.Regressed = &was
	}
	row.More = max(0, len(divergence.Factions)-len(markSymbols))
	for i, faction := range divergence.Factions[:len(divergence.Factions)-row.More] {
		named := faction.Operators[:min(len(faction.Operators), namedOperators)]
		row.Factions = append(row.Factions, factionRow{newMark(i, faction.Digest), named, len(faction.Operators) - len(named)})
	}
	return row
}

// dissent says in words which operators disagree.
func dissent(divergence Divergence) string {
	factions := divergence.Factions
	switch divergence.Shape {
	case api.Self:
		for i, faction := range factions {
			for _, operator := range faction.Operators {
				if slices.ContainsFunc(factions[i+1:], func(f Faction) bool { return slices.Contains(f.Operators, operator) }) {
					return operator + " got different digests itself"
				}
			}
		}
	case api.Outlier:
		if last := factions[len(factions)-1]; len(factions) == 2 && len(last.Operators) == 1 {
			return last.Operators[0] + " against " + number(uint64(len(factions[0].Operators))) + " who agree"
		}
	case api.Scatter:
		return "no two operators agree"
	case api.Split:
	}
	return count(uint64(len(factions)), "group") + " of operators"
}

func shapeChoices() []choice {
	return []choice{
		{Value: string(api.Self), Explained: "an operator got several digests itself"},
		{Value: string(api.Scatter), Explained: "no two operators agree"},
		{Value: string(api.Outlier), Explained: "one operator against all others"},
		{Value: string(api.Split), Explained: "several groups"},
	}
}

func causeChoices() []choice {
	return []choice{
		{Value: string(api.Own), Explained: "same inputs, different outputs"},
		{Value: string(api.Inherited), Explained: "an input diverged before"},
		{Value: string(api.UnknownSide), Explained: "inputs are not comparable"},
	}
}

func (d *Dashboard) divergences(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	query, wrong := divergenceFilter(c)
	sets, err := d.source.Sets(ctx)
	if err != nil {
		return "", nil, err
	}
	found := &DivergencePage{}
	if wrong == nil {
		found, err = d.source.Divergences(ctx, query)
		switch {
		case errors.Is(err, ErrNotFound):
			wrong = Missing(err, "%s", gone(&query, sets))
		case err != nil:
			return "", nil, err
		}
	}
	v := newDivergencesPage(query, sets)
	if query.Cursor != "" {
		v.First = v.Filter.URL(DivergencesPath)
	}
	if wrong != nil {
		p := d.config.Problem(wrong)
		v.status, v.Wrong, v.JSON = p.Status, p.Detail, ""
		v.Filter.Builder = signing.BuilderID(c.Query("builder")) // as it was typed
		return "divergences", v, nil
	}
	v.Total = count(found.Total, "output")
	now := time.Now()
	for _, divergence := range found.Divergences {
		v.Rows = append(v.Rows, newDivergenceRow(divergence, now))
	}
	if found.Next != "" {
		next := v.Filter
		next.Cursor = found.Next
		v.Next = next.URL(DivergencesPath)
	}
	return "divergences", v, nil
}

// divergenceFilter reads the filters of a request. What no divergence can have is said by
// the error, and left out of the query.
func divergenceFilter(c *gin.Context) (query DivergenceQuery, wrong error) {
	query = DivergenceQuery{
		Set: c.Query("set"), Maintainer: c.Query("maintainer"), Ecosystem: c.Query("ecosystem"), Project: c.Query("project"), Package: c.Query("package"),
		Limit: divergencesOnPage, Cursor: c.Query("cursor"),
	}
	if builder := c.Query("builder"); builder != "" {
		var err error
		if query.Builder, err = signing.ParseBuilderID(builder); err != nil {
			wrong = invalid("A builder is given by its ID: %v.", err)
		}
	}
	if cause := c.Query("cause"); offered(causeChoices(), cause) {
		query.Cause = api.Side(cause)
	} else {
		wrong = invalid("A divergence's cause is own, inherited or unknown.")
	}
	if shape := c.Query("shape"); offered(shapeChoices(), shape) {
		query.Shape = api.Shape(shape)
	} else {
		wrong = invalid("A divergence's shape is self, scatter, outlier or split.")
	}
	return query, wrong
}

// gone says what of a query there is not, and leaves it out.
func gone(query *DivergenceQuery, sets []Set) string {
	if set := query.Set; set != "" && !slices.ContainsFunc(sets, func(s Set) bool { return s.Name == set }) {
		query.Set = ""
		return fmt.Sprintf("There is no package set named %q.", set)
	}
	return "This page of the list is gone. Begin at the newest divergences."
}

// newDivergencesPage returns the page with its form, before anything is found.
func newDivergencesPage(query DivergenceQuery, sets []Set) *divergencesPage {
	filter, all := query, query
	filter.Limit, filter.Cursor = 0, ""
	all.Limit = 0
	v := &divergencesPage{
		frame:    frame{Title: "Divergences", Section: DivergencesPath, JSON: all.URL(api.DivergencesPath)},
		Filter:   filter,
		Filtered: filter != DivergenceQuery{},
		Clear:    DivergencesPath,
		Shapes:   shapeChoices(), Causes: causeChoices(),
	}
	v.Alternates = listsOf(query)
	v.Feed, v.CSV, v.List = v.Alternates[0].Href, v.Alternates[1].Href, v.Alternates[2].Href
	for _, set := range sets {
		v.Sets = append(v.Sets, set.Name)
	}
	for i := range v.Shapes {
		v.Shapes[i] = v.Shapes[i].link(filter, string(filter.Shape), func(q *DivergenceQuery, value string) { q.Shape = api.Shape(value) })
	}
	for i := range v.Causes {
		v.Causes[i] = v.Causes[i].link(filter, string(filter.Cause), func(q *DivergenceQuery, value string) { q.Cause = api.Side(value) })
	}
	return v
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
	ch.Href = filter.URL(DivergencesPath)
	return ch
}

func offered(choices []choice, value string) bool {
	return value == "" || slices.ContainsFunc(choices, func(ch choice) bool { return ch.Value == value })
}
