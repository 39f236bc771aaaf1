package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

// Limits of one page, so that a build with thousands of outputs is still light.
// The API has the rest.
const (
	matrixRows     = 40
	matrixBuilders = 32
	detailOutputs  = 10
	claimsOnPage   = 160 // shared evenly by the outputs in detail
	groupBuilders  = 12
	inputRows      = 24
	failureRows    = 20
	historyRows    = 20
)

type buildPage struct {
	frame
	Name      name
	Ecosystem string
	Lone      bool // an output whose build no claim names
	Tally     bar
	Matrix    matrix
	Outputs   []outputView
	More      int // outputs without details
	Unlisted  int // outputs that the API does not list either
	Traits    environments
	Failures  []failureView
	MoreFails int
	Commands  []command
	Verify    []command
	Evidence  bool   // entries can be fetched
	Kinds     string // what they are, in words
}

// A matrix shows which builder got which digest of which output.
type matrix struct {
	Builders              []builderName
	Rows                  []matrixRow
	MoreRows, MoreColumns int
	Wide                  bool // headings stand upright
}

type matrixRow struct {
	Name    name
	Label   string
	Verdict string
	Cells   []matrixCell
}

type matrixCell struct {
	Builder builderName
	Marks   []cellMark
}

type cellMark struct {
	Mark   mark
	Status string // why it does not count, "" if it does
}

type outputView struct {
	Row        OutputRow
	Anchor     string
	Name       name
	Label      string
	DigestKind string
	Factions   []faction
	Traits     []trait
	Pairs      []pairView
	Plans      []planView
	History    []changeView
	Asserted   []assertedView // of third parties' documents, by their own dates
	Claims     []claimView
	ClaimCount string
	MoreClaims int
	Earlier    bool // there are claims that the API does not list either
	// Recorded: all groups recorded traits of their environments.
	Recorded bool
	// Late: operators who agreed had it before others got something else.
	Late bool
}

// environments compares the recorded traits of the builders.
type environments struct {
	Builders []builderName
	Rows     []environmentRow
}

type environmentRow struct {
	Trait  string
	Values []string
	Varies bool
}

type planView struct {
	Plan       SetPlan
	Href       string
	Inputs     []inputView
	MoreInputs int
}

type inputView struct {
	Name name
	Row  OutputRow
}

type changeView struct {
	From, To string
	Index    uint64
	At       moment
}

type claimView struct {
	Mark     mark
	Builder  builderName
	Index    uint64
	At       moment
	Occasion string
	Status   string
	Tile     string // URL of the ledger's tile with the entry, "" while it is not full
	Reason   string // of a withdrawal
	Repeats  int    // earlier documents of the builder with the same digest, which this one replaces
}

type failureView struct {
	Failure Failure
	Builder builderName
	At      moment
}

func (d *Dashboard) build(c *gin.Context) (string, view, error) {
	ctx := c.Request.Context()
	build, lone, err := d.findBuild(c, c.Param("name"))
	if err != nil {
		return "", nil, err
	}
	covered, err := d.source.Watermark(ctx)
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	v := &buildPage{
		Name: newName(build.Ecosystem, build.Name), Ecosystem: build.Ecosystem, Lone: lone,
		Evidence: d.config.Entry != nil, Commands: rebuildCommands(build), Verify: verifyCommands(build, d.BaseURL(c)),
	}
	v.frame = frame{Title: v.Name.Short(), JSON: api.BuildsPath + "?" + url.Values{"name": {build.Name}}.Encode(), Indexed: covered.Indexed}
	if lone {
		v.JSON = api.OutputsPath + "?" + url.Values{"name": {build.Name}}.Encode()
	}
	v.Tally = tally(build.Outputs)
	v.Kinds = kindsOfEvidence(build.Outputs)

	// What diverges is what people come for.
	outputs := slices.Clone(build.Outputs)
	slices.SortStableFunc(outputs, func(a, b Output) int { return cmp.Compare(severity(a.Verdict), severity(b.Verdict)) })
	factions := make([][]faction, len(outputs))
	for i := range outputs {
		factions[i] = factionsOf(outputs[i].Claims)
	}
	v.Matrix = newMatrix(outputs, factions)
	v.Traits = newEnvironments(v.Matrix.Builders, outputs)
	detailed := outputs[:min(len(outputs), detailOutputs)]
	for i := range detailed {
		v.Outputs = append(v.Outputs, newOutputView(&detailed[i], factions[i], claimsOnPage/len(detailed), covered.Indexed, now))
		if v.Outputs[i].Pairs, err = d.pairs(ctx, &detailed[i], factions[i]); err != nil {
			return "", nil, err
		}
	}
	v.More = len(outputs) - len(v.Outputs)
	v.Unlisted = int(build.Total) - len(outputs)
	for _, f := range build.Failures[:min(len(build.Failures), failureRows)] {
		v.Failures = append(v.Failures, failureView{f, newBuilderName(f.Operator, f.Builder), newMoment(f.ReceivedAt, now)})
	}
	v.MoreFails = len(build.Failures) - len(v.Failures)
	return "build", v, nil
}

// findBuild takes the path behind /builds. Some names begin with a slash and
// some do not, and a path cannot tell. Where no build has the name, an output
// may: the page is that of its build, or of the output alone where third parties attest a
// file without saying how it was built.
func (d *Dashboard) findBuild(c *gin.Context, path string) (build *Build, lone bool, err error) {
	ctx := c.Request.Context()
	candidates := []string{path, strings.TrimPrefix(path, "/")}
	for _, name := range candidates {
		build, err := d.source.Build(ctx, name)
		if !errors.Is(err, ErrNotFound) {
			return build, false, err
		}
	}
	for _, key := range candidates {
		output, err := d.source.Output(ctx, key)
		switch {
		case err == nil && output.Build != "":
			build, err := d.source.Build(ctx, output.Build)
			return build, false, err
		case err == nil:
			return &Build{Name: output.Key, Ecosystem: output.Ecosystem, Outputs: []Output{*output}, Total: 1}, true, nil
		case !errors.Is(err, ErrNotFound):
			return nil, false, err
		}
	}
	return nil, false, api.NewProblem(api.ProblemNotFound, "Nobody attested a build or an output of this name. Names are exact: the search finds parts of them.")
}

// bySeverity is the order in which a page names verdicts: what needs a look first.
var bySeverity = []api.Verdict{api.Diverged, api.Reproduced, api.Single, api.Unbuilt}

func severity(verdict api.Verdict) int {
	return slices.Index(bySeverity, verdict)
}

func tally(outputs []Output) bar {
	counts := map[api.Verdict]uint64{}
	for _, o := range outputs {
		counts[o.Verdict]++
	}
	var parts []series
	for _, verdict := range bySeverity {
		parts = append(parts, series{Name: string(verdict), Count: counts[verdict]})
	}
	return newBar(parts...)
}

func newMatrix(outputs []Output, factions [][]faction) matrix {
	m := matrix{}
	for _, o := range outputs {
		for _, claim := range o.Claims {
			if !slices.ContainsFunc(m.Builders, func(b builderName) bool { return b.ID == claim.Builder }) {
				m.Builders = append(m.Builders, newBuilderName(claim.Operator, claim.Builder))
			}
		}
	}
	slices.SortFunc(m.Builders, func(a, b builderName) int {
		return cmp.Or(cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.ID, b.ID))
	})
	m.MoreColumns = max(0, len(m.Builders)-matrixBuilders)
	m.Builders = m.Builders[:len(m.Builders)-m.MoreColumns]
	m.Wide = len(m.Builders) > 6
	m.MoreRows = max(0, len(outputs)-matrixRows)
	for i, o := range outputs[:len(outputs)-m.MoreRows] {
		row := matrixRow{Name: newName(o.Ecosystem, o.Key), Label: label(o.OutputRow), Verdict: string(o.Verdict)}
		if i < detailOutputs {
			row.Name.Href = "#" + anchor(o.OutputRow)
		}
		for _, b := range m.Builders {
			cell := matrixCell{Builder: b}
			for _, f := range factions[i] {
				at := -1 // the claim that says most: one that counts, or the last
				for j, claim := range o.Claims {
					if claim.Builder == b.ID && claim.Digest == f.Mark.Digest && (at < 0 || !o.Claims[at].Counts) {
						at = j
					}
				}
				if at >= 0 {
					cell.Marks = append(cell.Marks, cellMark{f.Mark, string(o.Claims[at].Status)})
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// label is what an output is called among those of its build.
func label(row OutputRow) string {
	if row.Output != "" {
		return row.Output
	}
	return newName(row.Ecosystem, row.Key).Label
}

func newOutputView(o *Output, factions []faction, claims int, watermark uint64, now time.Time) outputView {
	v := outputView{
		Row: o.OutputRow, Anchor: anchor(o.OutputRow), Name: newName(o.Ecosystem, o.Key), Label: label(o.OutputRow), DigestKind: o.DigestKind,
		Factions: factions,
	}
	if o.Verdict == api.Diverged {
		v.Traits, v.Recorded = separating(o.Claims, factions), recorded(o.Claims, factions)
	}
	for _, plan := range o.Member {
		p := planView{Plan: plan, Href: setURL(plan.Set, "")}
		inputs := slices.Clone(plan.Inputs)
		slices.SortStableFunc(inputs, func(a, b OutputRow) int { return cmp.Compare(severity(a.Verdict), severity(b.Verdict)) })
		for _, input := range inputs[:min(len(inputs), inputRows)] {
			p.Inputs = append(p.Inputs, inputView{outputName(input), input})
		}
		p.MoreInputs = len(inputs) - len(p.Inputs)
		v.Plans = append(v.Plans, p)
	}
	v.Asserted = assertedHistory(o.Claims)
	v.Asserted = v.Asserted[max(0, len(v.Asserted)-historyRows):]
	for _, change := range slices.Backward(o.History) {
		if len(v.History) == historyRows {
			break
		}
		v.History = append(v.History, changeView{string(change.From), string(change.To), change.Index, newMoment(change.ReceivedAt, now)})
	}
	if n := len(o.History); n > 0 {
		v.Late = o.History[n-1].From == api.Reproduced && o.History[n-1].To == api.Diverged
	}
	marks := map[string]mark{}
	for _, f := range factions {
		marks[f.Mark.Digest] = f.Mark
	}
	repeated := map[[2]string]int{} // builder and digest → the line of the newest document
	listed := 0
	for _, claim := range slices.Backward(o.Claims) {
		said := [2]string{claim.Builder, claim.Digest}
		if at, ok := repeated[said]; ok && claim.Status == api.StandingSuperseded {
			v.Claims[at].Repeats++
			listed++
			continue
		}
		if len(v.Claims) == claims {
			break
		}
		listed++
		if claim.Kind != "" {
			repeated[said] = len(v.Claims)
		}
		view := claimView{
			Mark: marks[claim.Digest], Builder: newBuilderName(claim.Operator, claim.Builder), Index: claim.Index,
			At: newMoment(claim.ReceivedAt, now), Occasion: why(claim), Status: string(claim.Status), Reason: claim.Reason,
		}
		if (claim.Index/256+1)*256 <= watermark {
			view.Tile = entriesTile(claim.Index / 256)
		}
		v.Claims = append(v.Claims, view)
	}
	v.ClaimCount = count(uint64(len(o.Claims)), "claim")
	v.MoreClaims, v.Earlier = len(o.Claims)-listed, o.Earlier
	return v
}

// why says how a claim came about: the occasion of a build, or of which kind a
// third party's document is, and what is to be known about its signature.
func why(c Claim) string {
	text := c.Occasion
	switch c.Kind {
	case "openpgp-sums", "signed-sums":
		text = "signed checksums"
	case "gitian-assert":
		text = "signed Gitian assertion"
	case "narinfo":
		text = "signed narinfo"
	}
	if !c.SignedOn.IsZero() {
		text += " of " + c.SignedOn.Format(time.DateOnly) + " (its signer's own word)"
	}
	if slices.Contains(c.Flags, "expired-since") {
		text += ", key expired since"
	}
	return text
}

// kindsOfEvidence says in words what the entries behind claims are.
func kindsOfEvidence(outputs []Output) string {
	const statement = "a signed Sigstore bundle, which openssl can check"
	said := map[string]bool{}
	for _, o := range outputs {
		for _, c := range o.Claims {
			switch c.Kind {
			case "":
				said[statement] = true
			case "narinfo":
				said["a binary cache's signed narinfo, as it was served"] = true
			default:
				said["a document with its OpenPGP signatures, which gpg can check"] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(said)), ", or ")
}

// entriesTile is the path of a full tile of entries, as
// https://c2sp.org/tlog-tiles writes its number: in groups of three digits, all
// but the last marked with an x.
func entriesTile(n uint64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return "/log/tile/entries/" + path
}

// newEnvironments takes each builder's newest claim: the claims of one build are
// mostly of one statement, and a statement has one environment.
func newEnvironments(builders []builderName, outputs []Output) environments {
	newest := map[string]Claim{}
	for _, o := range outputs {
		for _, claim := range o.Claims {
			if len(claim.Environment) > 0 && claim.Index >= newest[claim.Builder].Index {
				newest[claim.Builder] = claim
			}
		}
	}
	e := environments{}
	var traits []string
	for _, b := range builders {
		if newest[b.ID].Environment == nil {
			continue
		}
		e.Builders = append(e.Builders, b)
		traits = slices.AppendSeq(traits, maps.Keys(newest[b.ID].Environment))
	}
	slices.Sort(traits)
	for _, trait := range slices.Compact(traits) {
		row := environmentRow{Trait: trait}
		for _, b := range e.Builders {
			value := newest[b.ID].Environment[trait]
			row.Varies = row.Varies || len(row.Values) > 0 && row.Values[0] != value
			row.Values = append(row.Values, value)
		}
		e.Rows = append(e.Rows, row)
	}
	return e
}
