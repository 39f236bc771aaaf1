package dashboard

import (
	"context"
	"fmt"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
)

// Limits of the pages of package sets; where something is left out, a page says so.
const (
	setsOnPage     = 200
	setRevisions   = 8
	setDivergences = 8
	changesOnPage  = 40 // of each kind, on a revision's page
	removalsOnPage = 20
)

type setsPage struct {
	frame
	Rows []setRow
	All  string // how many there are, in words
	More uint64 // left out
}

func (d *Dashboard) sets(c *gin.Context) (string, view, error) {
	rows, all, err := d.setRows(c.Request.Context(), "", setsOnPage)
	if err != nil {
		return "", nil, err
	}
	return "sets", &setsPage{
		frame: frame{Title: "Package sets", Section: SetsPath, JSON: api.SetsPath},
		Rows:  rows, All: count(all, "package set"), More: all - uint64(min(len(rows), setsOnPage)),
	}, nil
}

// summaryOf counts a set's members by verdict, without who spoke about them.
func (d *Dashboard) summaryOf(ctx context.Context, set string) (*Summary, error) {
	summaries, err := d.source.Summaries(ctx, []string{set})
	if err != nil {
		return nil, err
	}
	if len(summaries) == 0 {
		return nil, ErrNotFound
	}
	return &summaries[0], nil
}

func noSet(err error, name string) error {
	return Missing(err, "No package set named “%s” is published here. The page %s lists those that are.", name, SetsPath)
}

type setPage struct {
	frame
	Name      string
	Counts    counts
	Newest    revisionRow
	Retired   bool // it has no outputs
	Revisions []revisionRow
	More      bool // there are earlier revisions
	Chart     *areaChart
	Diverged  []divergenceRow
	Total     uint64
	All       string // URL of the list of its divergences
	Feed      string
	Badge     string // URL of the picture
	BadgeJSON string
	Markdown  string // to be copied
	Join      string // command of who wants to report builds of it, "" if that has none
}

// A revisionRow is a revision of a set, and what it changed.
type revisionRow struct {
	Revision  string
	Href      string
	Published moment
	Members   string
	Counts    counts
	Before    string // "" of the first
	Changes   []revisionChange
}

// A revisionChange is how many places or members changed in one way.
type revisionChange struct {
	Class, Sign, Words string
}

func newRevisionRow(r *SetRevision, now time.Time) revisionRow {
	row := revisionRow{
		Revision: r.Revision, Href: revisionURL(r.Name, r.Revision), Published: newMoment(r.PublishedAt, now), Members: count(r.Members, "output"), Before: r.Before,
		Counts: newCounts(&Summary{
			Outputs: r.Unbuilt + r.Single + r.Compared, Compared: r.Compared, Reproduced: r.Reproduced, Diverged: r.Diverged, Single: r.Single, Unbuilt: r.Unbuilt,
		}),
	}
	if r.Before == "" {
		return row
	}
	for _, c := range []struct {
		n                  uint64
		class, sign, words string
	}{
		{r.Regressed, "regression", "↘", "regressed"},
		{r.Fixed, "v-reproduced", "↗", "fixed"},
		{r.Added, "plain", "+", "added"},
		{r.Removed, "plain", "−", "removed"},
		{r.Changed, "plain", "→", "changed"},
	} {
		if c.n > 0 {
			row.Changes = append(row.Changes, revisionChange{c.class, c.sign, number(c.n) + " " + c.words})
		}
	}
	return row
}

func (d *Dashboard) set(c *gin.Context) (string, view, error) {
	ctx, name := c.Request.Context(), c.Param("name")
	summary, err := d.summaryOf(ctx, name)
	if err != nil {
		return "", nil, noSet(err, name)
	}
	now := time.Now()
	base := d.BaseURL(c)
	v := &setPage{
		frame: frame{
			Title: "Set " + name, Section: SetsPath, JSON: api.SetRevisionsPath(name), Indexed: summary.Indexed,
			Alternates: []alternate{{atomType, "Package set " + name, setFeedURL(name)}},
		},
		Name: name, Counts: newCounts(summary), Retired: summary.Outputs == 0, All: withSet(DivergencesPath, name),
		Feed: setFeedURL(name), Badge: badgeURL(name, ".svg"), BadgeJSON: badgeURL(name, ".json"),
		Markdown: fmt.Sprintf("[![reproducible builds](%s)](%s)", base+badgeURL(name, ".svg"), base+setURL(name, summary.Revision)),
	}
	for _, c := range shell("", "repronet-reporter init --aggregator \x00 --operator YOUR-NAME --sets \x00", base, name) {
		v.Join = c.Text
	}
	// These do not need each other, and each waits for the index several times.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.addRevisions(ctx, v, now) })
	group.Go(func() error {
		days, err := d.source.History(ctx, name)
		v.Chart = newAreaChart(days, now, withSet(api.HistoryPath, name))
		return err
	})
	group.Go(func() error {
		diverged, err := d.source.Divergences(ctx, DivergenceQuery{Set: name, Limit: setDivergences})
		if err != nil {
			return err
		}
		v.Total = diverged.Total
		for _, divergence := range diverged.Divergences {
			v.Diverged = append(v.Diverged, newDivergenceRow(divergence, now))
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return "", nil, noSet(err, name)
	}
	return "set", v, nil
}

func (d *Dashboard) addRevisions(ctx context.Context, v *setPage, now time.Time) error {
	revisions, err := d.source.SetRevisions(ctx, v.Name, setRevisions+1)
	if err != nil {
		return err
	}
	v.More = len(revisions) > setRevisions
	for i := range revisions[:min(len(revisions), setRevisions)] {
		v.Revisions = append(v.Revisions, newRevisionRow(&revisions[i], now))
	}
	if len(v.Revisions) > 0 {
		v.Newest = v.Revisions[0]
	}
	return nil
}

type revisionPage struct {
	frame
	Set     string
	SetHref string
	Answer  string
	Row     revisionRow
	Before  string // URL of the revision before
	Lists   []changeList
	Nothing bool // to be listed
}

// A changeList is what changed in one way.
type changeList struct {
	ID, Title, Says string
	Rows            []changeRow
	Compared        bool   // what was in their places before is said
	More            string // how many are left out
}

type changeRow struct {
	Name       name
	Verdict    api.Verdict
	Attribute  string
	Version    string
	System     string
	Was        *name // what was in its place
	WasVerdict api.Verdict
}

func (d *Dashboard) setRevision(c *gin.Context) (string, view, error) {
	ctx, name, revision := c.Request.Context(), c.Param("name"), c.Param("revision")[1:]
	difference, err := d.source.SetDifference(ctx, name, revision, changesOnPage)
	if err != nil {
		return "", nil, Missing(err, "No package set named “%s” is published here, or it has no revision “%s”. The page %s lists the sets.", name, revision, SetsPath)
	}
	v := &revisionPage{
		frame: frame{
			Title: name + " " + difference.Revision, Section: SetsPath, JSON: api.SetDifferencePath(name) + "?" + query("revision", difference.Revision),
			Alternates: []alternate{{atomType, "Package set " + name, setFeedURL(name)}},
		},
		Set: name, SetHref: setURL(name, difference.Revision), Row: newRevisionRow(&difference.SetRevision, time.Now()), Answer: answerOf(&difference.SetRevision),
	}
	if difference.Before != "" {
		v.Before = revisionURL(name, difference.Before)
	}
	v.Lists = changeLists(difference)
	v.Nothing = len(v.Lists) == 0
	return "revision", v, nil
}

// answerOf says in a line what a revision changed.
func answerOf(r *SetRevision) string {
	switch {
	case r.Members == 0:
		return "Retired"
	case r.Before == "":
		return "The first revision"
	case r.Regressed > 0 && r.Fixed > 0:
		return fmt.Sprintf("%s regressed, %s fixed", number(r.Regressed), number(r.Fixed))
	case r.Regressed > 0:
		return number(r.Regressed) + " regressed"
	case r.Fixed > 0:
		return fmt.Sprintf("Nothing regressed, %s fixed", number(r.Fixed))
	case r.Compared == 0:
		return "Nothing compared yet"
	default:
		return "Nothing regressed"
	}
}

func changeLists(d *SetDifference) []changeList {
	var lists []changeList
	add := func(id, title, says string, rows []SetChange, total uint64, most int) {
		if len(rows) == 0 {
			return
		}
		list := changeList{ID: id, Title: title, Says: says}
		for i := range rows[:min(len(rows), most)] {
			list.Rows = append(list.Rows, newChangeRow(&rows[i]))
			list.Compared = list.Compared || rows[i].Was != nil
		}
		if left := total - min(total, uint64(len(list.Rows))); left > 0 {
			list.More = count(left, "more output")
		}
		lists = append(lists, list)
	}
	add("regressed", "Regressed", "Reproduced in the revision before, diverged in this one.", d.Regressions, d.Regressed, changesOnPage)
	add("fixed", "Fixed", "Diverged in the revision before, reproduced in this one.", d.Fixes, d.Fixed, changesOnPage)
	add("diverged", "Diverged, and new here", "Members that the revision before did not have. What was in their places was not reproduced.", d.Divergences, uint64(len(d.Divergences)), changesOnPage)
	first := uint64(0) // of those that were added, some are listed above
	for i := range d.Divergences {
		if d.Divergences[i].Was == nil {
			first++
		}
	}
	if d.Before != "" {
		add("added", "Added", "Members in places that the revision before did not have.", d.Additions, d.Added-min(d.Added, first), changesOnPage)
	}
	add("removed", "Removed", "Members of the revision before whose places are gone.", d.Removals, d.Removed, removalsOnPage)
	return lists
}

func newChangeRow(c *SetChange) changeRow {
	row := changeRow{Name: outputName(c.OutputRow), Verdict: c.Verdict, Attribute: c.Attribute, Version: c.Version, System: c.System}
	if c.Was != nil {
		was := outputName(*c.Was)
		row.Was, row.WasVerdict = &was, c.Was.Verdict
	}
	return row
}
