package dashboardtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/signing/signingtest"
)

// Fake is a dashboard.Source in memory. It judges with package divergence, like
// every other; the rest is as plain as can be.
type Fake struct {
	mu      sync.Mutex // guards all below
	size    uint64     // ledger entries
	roster  []*builder // by number
	outputs map[string]*output
	builds  map[string]*dashboard.Build // without outputs
	sets    map[string]*set             // newest revisions
	earlier map[string][]*set           // those before, oldest first
	stated  uint64
	copies  map[string]map[string]*dashboard.Copying // by copier and source; nil where to be found
}

type builder struct {
	dashboard.BuilderDetail
	revoked bool
}

type output struct {
	row     dashboard.OutputRow
	born    int // how many outputs were named before
	kind    string
	claims  []dashboard.Claim
	number  []uint32 // of the builder of each claim
	state   divergence.Output
	verdict divergence.Judgement
	history []dashboard.Change
}

type set struct {
	dashboard.Set
	ecosystem string
	members   []Member
}

// NewFake returns a source that has seen a scenario.
func NewFake(s *Scenario) *Fake {
	f := &Fake{outputs: map[string]*output{}, builds: map[string]*dashboard.Build{}, sets: map[string]*set{}, earlier: map[string][]*set{}}
	for _, b := range s.Builders {
		f.roster = append(f.roster, &builder{BuilderDetail: dashboard.BuilderDetail{
			Builder:   dashboard.Builder{ID: string(ID(b.Label)), Operator: b.Operator, Tier: api.Tier(b.Tier), Flags: []api.Flag{}},
			PublicKey: string(signingtest.Named(b.Label).Public().PEM()), EnrolledAt: f.size,
			Streams: []dashboard.Stream{}, Verdicts: map[api.Verdict]uint64{}, Recent: []dashboard.Claim{},
		}})
		f.size++
	}
	for _, entry := range s.Entries {
		f.Append(entry)
	}
	return f
}

// Append takes one more entry in.
func (f *Fake) Append(entry Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	index := f.size
	f.size++
	f.copies = nil
	switch {
	case entry.Set != nil:
		if before := f.sets[entry.Set.Name]; before != nil {
			f.earlier[entry.Set.Name] = append(f.earlier[entry.Set.Name], before)
		}
		f.sets[entry.Set.Name] = &set{
			Set:       dashboard.Set{Name: entry.Set.Name, Revision: entry.Set.Revision, PublishedAt: entry.At, Index: index, Members: uint64(len(entry.Set.Members))},
			ecosystem: entry.Set.Ecosystem, members: entry.Set.Members,
		}
	case entry.Revoke != "":
		b := f.roster[f.number(entry.Revoke)]
		b.Revoked, b.revoked, b.RevokedFrom = true, true, &index
		b.Flags = append(b.Flags, "revoked")
	default:
		f.state(index, f.number(entry.Builder), entry)
	}
}

func (f *Fake) number(label string) uint32 {
	id := string(ID(label))
	i := slices.IndexFunc(f.roster, func(b *builder) bool { return b.ID == id })
	if i < 0 {
		panic(fmt.Sprintf("the scenario has no builder %q", label))
	}
	return uint32(i)
}

func (f *Fake) state(index uint64, number uint32, entry Entry) {
	b, s := f.roster[number], entry.Statement
	b.Attestations++
	b.LastSeen = entry.At
	f.stated++
	if s.Type == attestation.Withdraw {
		for _, subject := range s.Subjects {
			o := f.outputs[subject.Name]
			o.state.Withdraw(number, subject.Digest)
			for i := range o.claims {
				if o.number[i] == number && o.claims[i].Digest == subject.Digest.String() && o.claims[i].Status != "withdrawn" {
					o.claims[i].Counts, o.claims[i].Status = false, "withdrawn"
					o.claims[i].Reason, o.claims[i].By = s.Reason, &index
				}
			}
			for i, c := range b.Recent {
				if c.Output == subject.Name && c.Digest == subject.Digest.String() && c.Status != "withdrawn" {
					b.Recent[i].Counts, b.Recent[i].Status, b.Recent[i].Reason, b.Recent[i].By = false, "withdrawn", s.Reason, &index
				}
			}
			f.judge(o, index, entry.At)
		}
		return
	}
	for _, made := range s.Builds {
		build := f.builds[made.Name]
		if build == nil {
			build = &dashboard.Build{Name: made.Name, Ecosystem: s.Ecosystem, Failures: []dashboard.Failure{}}
			f.builds[made.Name] = build
		}
		if s.Type == attestation.BuildFailed {
			build.Failures = append(build.Failures, dashboard.Failure{
				Index: index, ReceivedAt: entry.At, Builder: b.ID, Operator: b.Operator, Failure: made.Failure, Environment: s.Environment,
			})
			continue
		}
		for _, i := range made.Outputs {
			f.claim(index, number, entry, made, s.Subjects[i])
		}
	}
}

func (f *Fake) claim(index uint64, number uint32, entry Entry, made attestation.Build, subject attestation.Subject) {
	b, s := f.roster[number], entry.Statement
	o := f.outputs[subject.Name]
	if o == nil {
		o = &output{born: len(f.outputs), kind: string(s.DigestKind), row: dashboard.OutputRow{Key: subject.Name, Ecosystem: s.Ecosystem, Build: made.Name}}
		f.outputs[subject.Name] = o
	}
	claim := dashboard.Claim{
		Index: index, ReceivedAt: entry.At, Builder: b.ID, Operator: b.Operator, Tier: b.Tier, Digest: subject.Digest.String(),
		Occasion: string(made.Occasion), FinishedOn: made.Finished, Environment: s.Environment, Counts: b.Tier == api.Counted,
	}
	if !claim.Counts {
		claim.Status = "open"
	}
	c := divergence.Claim{Builder: number, Digest: subject.Digest, Index: index}
	if !made.InputsDigest.IsZero() {
		claim.InputsDigest = made.InputsDigest.String()
		c.Inputs = divergence.NewInputsKey(made.InputsDigest)
	}
	o.claims = append(o.claims, claim)
	o.number = append(o.number, number)
	o.state.Add(c)
	b.Observations++
	claim.Output = subject.Name
	b.Recent = slices.Insert(b.Recent, 0, claim)
	b.Recent = b.Recent[:min(len(b.Recent), 20)]
	f.judge(o, index, entry.At)
}

type counting []*builder

// Counts makes the roster a divergence.Operators.
func (roster counting) Counts(number uint32, _ uint64) (uint32, bool) {
	operator := slices.IndexFunc(roster, func(b *builder) bool { return b.Operator == roster[number].Operator })
	return uint32(operator), roster[number].Tier == api.Counted
}

func (f *Fake) judge(o *output, index uint64, at time.Time) {
	before := o.verdict.Verdict
	o.verdict = divergence.Judge(&o.state, counting(f.roster))
	if o.verdict.Verdict != before {
		o.history = append(o.history, dashboard.Change{Index: index, ReceivedAt: at, From: api.NewVerdict(before), To: api.NewVerdict(o.verdict.Verdict)})
	}
}

// rowOf completes a row by what the output's newest judgement says.
func (f *Fake) rowOf(key string) dashboard.OutputRow {
	o := f.outputs[key]
	if o == nil {
		return dashboard.OutputRow{Key: key, Verdict: api.Unbuilt}
	}
	row := o.row
	row.Verdict, row.Operators, row.Digests = api.NewVerdict(o.verdict.Verdict), o.verdict.Operators, o.verdict.Digests
	if o.verdict.Verdict == divergence.Diverged {
		row.Shape = api.NewShape(o.verdict.Shape)
		row.Cause = api.NewSide(divergence.CauseOf(o.verdict.Inputs, f.inputDiverged(key)))
	}
	return row
}

func (f *Fake) inputDiverged(key string) bool {
	for _, s := range f.sets {
		for _, m := range s.members {
			if m.Key == key && slices.ContainsFunc(m.Inputs, func(input string) bool {
				o := f.outputs[input]
				return o != nil && o.verdict.Verdict == divergence.Diverged
			}) {
				return true
			}
		}
	}
	return false
}

// Watermark implements dashboard.Source, as do the following.
func (f *Fake) Watermark(ctx context.Context) (dashboard.Watermark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return dashboard.Watermark{Indexed: f.size, Compared: f.size}, ctx.Err()
}

func (f *Fake) keys(name string) ([]string, *set, error) {
	if name == "" {
		var keys []string
		for key, o := range f.outputs {
			if o.verdict.Verdict != divergence.Unbuilt {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		return keys, nil, nil
	}
	s := f.sets[name]
	if s == nil {
		return nil, nil, dashboard.ErrNotFound
	}
	keys := make([]string, len(s.members))
	for i, m := range s.members {
		keys[i] = m.Key
	}
	return keys, s, nil
}

// Summary implements dashboard.Source.
func (f *Fake) Summary(ctx context.Context, name string) (*dashboard.Summary, error) {
	sum, err := f.summary(ctx, name)
	if err != nil || name == "" {
		return sum, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	keys, _, err := f.keys(name)
	entries, builders, operators := map[uint64]bool{}, map[string]bool{}, map[string]bool{}
	sum.Observations = 0
	for _, key := range keys {
		if o := f.outputs[key]; o != nil {
			for _, c := range o.claims {
				sum.Observations++
				entries[c.Index], builders[c.Builder], operators[c.Operator] = true, true, true
			}
		}
	}
	sum.Attestations, sum.Builders, sum.Operators = uint64(len(entries)), uint64(len(builders)), uint64(len(operators))
	return sum, err
}

// summary counts by verdict, beside what the whole ledger has.
func (f *Fake) summary(ctx context.Context, name string) (*dashboard.Summary, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys, s, err := f.keys(name)
	if err != nil {
		return nil, err
	}
	sum := &dashboard.Summary{Set: name, Outputs: uint64(len(keys)), Attestations: f.stated, LedgerSize: f.size, Indexed: f.size}
	if s != nil {
		sum.Revision = s.Revision
	}
	for _, key := range keys {
		switch f.rowOf(key).Verdict {
		case api.Reproduced:
			sum.Reproduced++
		case api.Diverged:
			sum.Diverged++
		case api.Single:
			sum.Single++
		default:
			sum.Unbuilt++
		}
	}
	sum.Compared = sum.Reproduced + sum.Diverged
	var operators []string
	for _, b := range f.roster {
		sum.Observations += b.Observations
		if b.Attestations > 0 {
			sum.Builders++
			if !slices.Contains(operators, b.Operator) {
				operators = append(operators, b.Operator)
			}
		}
	}
	sum.Operators = uint64(len(operators))
	for _, build := range f.builds {
		sum.Failures += uint64(len(build.Failures))
	}
	return sum, ctx.Err()
}

// Summaries implements dashboard.Source.
func (f *Fake) Summaries(ctx context.Context, names []string) ([]dashboard.Summary, error) {
	var all []dashboard.Summary
	for _, name := range names {
		sum, err := f.summary(ctx, name)
		if errors.Is(err, dashboard.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, *sum)
	}
	return all, nil
}

// History implements dashboard.Source.
func (f *Fake) History(ctx context.Context, name string) ([]dashboard.DayCounts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys, _, err := f.keys(name)
	if err != nil {
		return nil, err
	}
	if name == "" { // also those that have no position any more
		keys = keys[:0]
		for key := range f.outputs {
			keys = append(keys, key)
		}
	}
	var changes []dashboard.Change
	for _, key := range keys {
		if o := f.outputs[key]; o != nil {
			changes = append(changes, o.history...)
		}
	}
	slices.SortFunc(changes, func(a, b dashboard.Change) int { return cmp.Compare(a.Index, b.Index) })
	days := []dashboard.DayCounts{}
	var now dashboard.DayCounts
	of := func(verdict api.Verdict) *uint64 {
		switch verdict {
		case api.Reproduced:
			return &now.Reproduced
		case api.Diverged:
			return &now.Diverged
		case api.Single:
			return &now.Single
		default:
			return new(uint64)
		}
	}
	for _, change := range changes {
		day := change.ReceivedAt.UTC().Truncate(24 * time.Hour)
		if len(days) == 0 || !days[len(days)-1].Day.Equal(day) {
			days = append(days, dashboard.DayCounts{})
		}
		now.Day = day
		if from := of(change.From); *from > 0 {
			*from--
		}
		*of(change.To)++
		days[len(days)-1] = now
	}
	return days, ctx.Err()
}

// Sets implements dashboard.Source.
func (f *Fake) Sets(ctx context.Context) ([]dashboard.Set, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sets := []dashboard.Set{}
	for _, s := range f.sets {
		sets = append(sets, s.Set)
	}
	slices.SortFunc(sets, func(a, b dashboard.Set) int { return cmp.Compare(a.Name, b.Name) })
	return sets, ctx.Err()
}

// Output implements dashboard.Source.
func (f *Fake) Output(ctx context.Context, key string) (*dashboard.Output, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outputs[key] == nil {
		return f.unbuilt(key)
	}
	return f.outputOf(key), ctx.Err()
}

// unbuilt is an output that nobody claims and a package set has.
func (f *Fake) unbuilt(key string) (*dashboard.Output, error) {
	for _, s := range f.sets {
		if slices.ContainsFunc(s.members, func(m Member) bool { return m.Key == key }) {
			return &dashboard.Output{
				OutputRow: dashboard.OutputRow{Key: key, Ecosystem: "nix", Verdict: api.Unbuilt},
				Claims:    []dashboard.Claim{}, History: []dashboard.Change{}, Member: []dashboard.SetPlan{},
			}, nil
		}
	}
	return nil, dashboard.ErrNotFound
}

func (f *Fake) outputOf(key string) *dashboard.Output {
	o := f.outputs[key]
	out := &dashboard.Output{
		OutputRow: f.rowOf(key), DigestKind: o.kind,
		Claims: slices.Clone(o.claims), History: append([]dashboard.Change{}, o.history...), Member: []dashboard.SetPlan{},
	}
	for _, name := range slices.Sorted(maps.Keys(f.sets)) {
		for _, m := range f.sets[name].members {
			if m.Key != key {
				continue
			}
			plan := dashboard.SetPlan{Set: name, Attribute: m.Attribute, Version: m.Version, System: m.System, Maintainers: m.Maintainers}
			for _, input := range m.Inputs {
				plan.Inputs = append(plan.Inputs, f.rowOf(input))
			}
			out.Member = append(out.Member, plan)
		}
	}
	return out
}

// Build implements dashboard.Source.
func (f *Fake) Build(ctx context.Context, name string) (*dashboard.Build, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.builds[name]
	if b == nil {
		return nil, dashboard.ErrNotFound
	}
	build := *b
	build.Failures = slices.Clone(b.Failures)
	build.Outputs = []dashboard.Output{}
	for _, key := range slices.Sorted(maps.Keys(f.outputs)) {
		if f.outputs[key].row.Build == name {
			build.Outputs = append(build.Outputs, *f.outputOf(key))
		}
	}
	build.Total = uint64(len(build.Outputs))
	return &build, ctx.Err()
}
