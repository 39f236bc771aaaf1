package dashboard

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
)

// Limits of the overview; the lists that it begins have pages of their own.
const (
	overviewDivergences = 8
	overviewSets        = 12
)

type overviewPage struct {
	frame
	Empty    bool // nothing was attested yet
	Commands []command
	Set      string // "" for everything
	Revision string
	Counts   counts
	Live     liveCounts
	Chart    *areaChart
	Newest   []divergenceRow
	More     string // URL of the whole list of divergences
	SetPage  string // URL of the page of the set
	Total    uint64
	Sets     []setRow
	AllSets  uint64
}

// counts is a summary as pages show it.
type counts struct {
	Outputs, Compared, Reproduced, Diverged, Single, Unbuilt string
	Rate, Coverage                                           string
	AnyCompared                                              bool
	Bar                                                      bar
}

func newCounts(s *Summary) counts {
	return counts{
		Outputs: count(s.Outputs, "output"), Compared: number(s.Compared),
		Reproduced: number(s.Reproduced), Diverged: number(s.Diverged), Single: number(s.Single), Unbuilt: number(s.Unbuilt),
		Rate: percent(s.Reproduced, s.Compared), Coverage: percent(s.Compared, s.Outputs),
		AnyCompared: s.Compared > 0,
		Bar: newBar(
			series{Name: "reproduced", Count: s.Reproduced},
			series{Name: "diverged", Count: s.Diverged},
			series{Name: "single", Count: s.Single},
			series{Name: "unbuilt", Count: s.Unbuilt}),
	}
}

// liveCounts are the numbers that app.js keeps current.
type liveCounts struct {
	Attestations, Observations, Builders, Operators, Failures, Indexed, LedgerSize string
	Behind                                                                         string // entries not indexed yet, "" for none
}

func newLiveCounts(s *Summary) liveCounts {
	live := liveCounts{
		Attestations: number(s.Attestations), Observations: number(s.Observations), Builders: number(s.Builders),
		Operators: number(s.Operators), Failures: number(s.Failures), Indexed: number(s.Indexed), LedgerSize: number(s.LedgerSize),
	}
	if s.LedgerSize > s.Indexed {
		live.Behind = number(s.LedgerSize - s.Indexed)
	}
	return live
}

type setRow struct {
	Set       Set
	Href      string
	Current   bool
	Published moment
	Counts    counts
}

func (d *Dashboard) overview(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	set := c.Query("set")
	summary, err := d.source.Summary(ctx, set)
	if err != nil {
		return "", nil, Missing(err, "No package set named “%s” is published here.", set)
	}
	v := &overviewPage{
		frame:    frame{Title: "Overview", Section: "/", JSON: withSet(api.SummaryPath, set), Indexed: summary.Indexed},
		Empty:    summary.Attestations == 0,
		Set:      set,
		Revision: summary.Revision,
		Counts:   newCounts(summary),
		Live:     newLiveCounts(summary),
		More:     withSet(DivergencesPath, set),
	}
	v.Alternates = []alternate{{atomType, "Divergences", DivergencesPath + FeedSuffix}}
	if set != "" {
		v.Title, v.SetPage = "Set "+set, setURL(set, summary.Revision)
		v.Alternates = []alternate{{atomType, "Package set " + set, setFeedURL(set)}}
	}
	if v.Empty {
		v.Commands = beginCommands(d.BaseURL(c))
	}
	now := time.Now()
	// These do not need each other, and each waits for the index several times.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		days, err := d.source.History(ctx, set)
		v.Chart = newAreaChart(days, now, withSet(api.HistoryPath, set))
		return err
	})
	group.Go(func() error {
		newest, err := d.source.Divergences(ctx, DivergenceQuery{Set: set, Limit: overviewDivergences})
		if err != nil {
			return err
		}
		v.Total = newest.Total
		for _, divergence := range newest.Divergences {
			v.Newest = append(v.Newest, newDivergenceRow(divergence, now))
		}
		return nil
	})
	group.Go(func() (err error) {
		v.Sets, v.AllSets, err = d.setRows(ctx, set, overviewSets)
		return err
	})
	return "overview", v, group.Wait()
}

// setRows summarises the first package sets by name, at most so many, with the one that is
// shown among them.
func (d *Dashboard) setRows(ctx context.Context, current string, most int) (rows []setRow, all uint64, err error) {
	sets, err := d.source.Sets(ctx)
	if err != nil {
		return nil, 0, err
	}
	all = uint64(len(sets))
	if len(sets) > most {
		i := max(0, slices.IndexFunc(sets, func(s Set) bool { return s.Name == current }))
		first := min(i, len(sets)-most)
		sets = sets[first : first+most]
	}
	names := make([]string, len(sets))
	for i := range sets {
		names[i] = sets[i].Name
	}
	summaries, err := d.source.Summaries(ctx, names)
	if err != nil {
		return nil, 0, err
	}
	for _, summary := range summaries {
		set := sets[slices.Index(names, summary.Set)]
		rows = append(rows, setRow{
			Set: set, Href: setURL(set.Name, set.Revision), Current: set.Name == current,
			Published: newMoment(set.PublishedAt, time.Now()), Counts: newCounts(&summary),
		})
	}
	return rows, all, nil
}

func withSet(path, set string) string {
	if set == "" {
		return path
	}
	return path + "?" + query("set", set)
}

func query(name, value string) string { return url.Values{name: {value}}.Encode() }
