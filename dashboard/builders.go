package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/signing"
)

// Limits of the page of builders.
const (
	builderRows        = 200
	agreementOperators = 24
	worstPairs         = 8
	copyingRows        = 40
)

type buildersPage struct {
	frame
	Rows      []builderRow
	More      int
	Operators int // counted ones
	Open      int
	AsOf      string // ledger entries that what follows covers
	Agreement agreementTable
	Worst     []pairRow
	Copying   []copyingRow
}

type builderRow struct {
	Builder Builder
	Name    builderName
	Seen    moment
	Flags   []flag
}

// A flag is something odd about a builder, explained.
type flag struct{ Name, Means string }

func newFlags(names []api.Flag) []flag {
	means := map[api.Flag]string{
		api.FlagFork:      "two different statements at one place of a stream: a restored backup, or two machines with one key",
		api.FlagGap:       "statements of a stream that never arrived",
		api.FlagStale:     "nothing heard for a long time",
		api.FlagRevoked:   "the key no longer counts",
		api.FlagBackDated: "the revocation takes statements away that had counted before it",
		api.FlagCopying:   "the same digests as another operator, later, where everybody else's differ",
	}
	called := map[api.Flag]string{api.FlagCopying: "suspected copying"}
	var flags []flag
	for _, n := range names {
		flags = append(flags, flag{cmp.Or(called[n], string(n)), cmp.Or(means[n], string(n))})
	}
	return flags
}

// An agreementTable shows for each two operators on how much of what both built
// they agree.
type agreementTable struct {
	Operators []string
	Rows      []agreementRow
	More      int // operators left out
}

type agreementRow struct {
	Operator string
	Cells    []agreementCell
}

type agreementCell struct {
	With   string
	Share  string // "" where nothing is common, or for the operator itself
	Common string
	Class  string // quantised share
	Same   bool
}

// A copyingRow says that an operator seems to copy.
type copyingRow struct {
	Operator, Href, From string
	Same, Common         string
}

type pairRow struct {
	A, B, Share, Class string
	Differ, Common     string
}

func (d *Dashboard) builders(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	builders, err := d.source.Builders(ctx)
	if err != nil {
		return "", nil, err
	}
	comparison, err := d.source.Comparison(ctx)
	if err != nil {
		return "", nil, err
	}
	now, pairs := time.Now(), comparison.Pairs
	v := &buildersPage{
		frame: frame{Title: "Builders", Section: "/builders", JSON: api.BuildersPath}, AsOf: number(comparison.AsOf),
	}
	told := ""
	counted, open := map[string]bool{}, map[string]bool{}
	for _, b := range builders {
		if b.Tier == api.Counted {
			counted[b.Operator] = true
		} else {
			open[b.Operator] = true
		}
		if b.Operator != told && len(v.Copying) < copyingRows { // builders come by operator
			told = b.Operator
			for _, c := range b.Copying {
				v.Copying = append(v.Copying, copyingRow{b.Operator, newBuilderName(b.Operator, b.ID).Href, c.From, number(c.Same), number(c.Common)})
			}
		}
		if len(v.Rows) < builderRows {
			v.Rows = append(v.Rows, builderRow{b, newBuilderName(b.Operator, b.ID), newMoment(b.LastSeen, now), newFlags(b.Flags)})
		}
	}
	v.More = len(builders) - len(v.Rows)
	v.Operators, v.Open = len(counted), len(open)
	v.Agreement = newAgreementTable(pairs)
	v.Worst = leastAgreeing(pairs)
	return "builders", v, nil
}

func newAgreementTable(pairs []Agreement) agreementTable {
	common := map[string]uint64{}
	of := map[[2]string]Agreement{}
	for _, p := range pairs {
		of[[2]string{p.A, p.B}], of[[2]string{p.B, p.A}] = p, p
		common[p.A] += p.Common
		common[p.B] += p.Common
	}
	t := agreementTable{}
	for operator := range common {
		t.Operators = append(t.Operators, operator)
	}
	// Those that share most with others say most.
	slices.SortFunc(t.Operators, func(a, b string) int { return cmp.Or(cmp.Compare(common[b], common[a]), cmp.Compare(a, b)) })
	t.More = max(0, len(t.Operators)-agreementOperators)
	t.Operators = t.Operators[:len(t.Operators)-t.More]
	slices.Sort(t.Operators)
	for _, a := range t.Operators {
		row := agreementRow{Operator: a}
		for _, b := range t.Operators {
			cell := agreementCell{With: b, Same: a == b}
			if p, ok := of[[2]string{a, b}]; ok && p.Common > 0 && a != b {
				cell.Share, cell.Common, cell.Class = percent(p.Agree, p.Common), number(p.Common), agreementClass(p)
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func agreementClass(p Agreement) string {
	switch share := float64(p.Agree) / float64(p.Common); {
	case share == 1:
		return "agree-4"
	case share >= 0.99:
		return "agree-3"
	case share >= 0.95:
		return "agree-2"
	case share >= 0.8:
		return "agree-1"
	default:
		return "agree-0"
	}
}

func leastAgreeing(pairs []Agreement) []pairRow {
	pairs = slices.DeleteFunc(slices.Clone(pairs), func(p Agreement) bool { return p.Agree >= p.Common || p.A == p.B })
	slices.SortFunc(pairs, func(a, b Agreement) int {
		return cmp.Or(cmp.Compare(float64(a.Agree)/float64(a.Common), float64(b.Agree)/float64(b.Common)), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	})
	var rows []pairRow
	for _, p := range pairs[:min(len(pairs), worstPairs)] {
		rows = append(rows, pairRow{p.A, p.B, percent(p.Agree, p.Common), agreementClass(p), number(p.Common - p.Agree), number(p.Common)})
	}
	return rows
}

type builderPage struct {
	frame
	Builder     *BuilderDetail
	Name        builderName
	Seen        moment
	Flags       []flag
	Verdicts    bar
	Streams     []Stream
	MoreStreams int
	AsOf        string // ledger entries that Verdicts and Copying cover
	Copying     []copyingView
	Recent      []recentView
	Divergences string // URL of those in which it holds a digest
	Evidence    bool
}

// A recentView is a claim with the output that it is about.
type recentView struct {
	Name name
	claimView
}

// A copyingView is why a builder's operator seems to copy.
type copyingView struct {
	From, Same, Common string
	Outputs            []name
}

func newCopyingView(c Copying) copyingView {
	v := copyingView{From: c.From, Same: number(c.Same), Common: number(c.Common)}
	for _, output := range c.Outputs {
		v.Outputs = append(v.Outputs, outputName(output))
	}
	return v
}

func (d *Dashboard) builder(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	id, err := signing.ParseBuilderID(c.Param("id"))
	if err != nil {
		return "", nil, api.NewProblem(api.ProblemNotFound, "A builder is named by 32 characters of a-z and 2-7; this is not such a name.")
	}
	b, err := d.source.Builder(ctx, id)
	if err != nil {
		return "", nil, Missing(err, "No builder %s is enrolled here.", id)
	}
	now := time.Now()
	v := &builderPage{
		frame:       frame{Title: "Builder of " + b.Operator, Section: "/builders", JSON: api.BuilderPath(string(id))},
		Builder:     b,
		Name:        newBuilderName(b.Operator, b.ID),
		Seen:        newMoment(b.LastSeen, now),
		Flags:       newFlags(b.Flags),
		AsOf:        number(b.AsOf),
		Divergences: DivergenceQuery{Builder: id}.URL(DivergencesPath),
		Evidence:    d.config.Entry != nil,
	}
	for _, c := range b.Copying {
		v.Copying = append(v.Copying, newCopyingView(c))
	}
	var parts []series
	for _, verdict := range []api.Verdict{api.Reproduced, api.Diverged, api.Single, api.Unbuilt} {
		parts = append(parts, series{Name: string(verdict), Count: b.Verdicts[verdict]})
	}
	v.Verdicts = newBar(parts...)
	v.Streams = b.Streams[:min(len(b.Streams), historyRows)]
	v.MoreStreams = len(b.Streams) - len(v.Streams)
	for _, claim := range b.Recent {
		v.Recent = append(v.Recent, recentView{outputName(OutputRow{Key: claim.Output}), claimView{
			Mark: newMark(0, claim.Digest), Index: claim.Index, At: newMoment(claim.ReceivedAt, now), Occasion: why(claim), Status: string(claim.Status), Reason: claim.Reason,
		}})
	}
	return "builder", v, nil
}
