package query

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/dashboard"
	"repronet/divergence"
	"repronet/enrolment"
)

// Limits of what one page shows.
const (
	maxOutputs  = 1000 // of a list
	maxClaims   = 2000 // of an output
	maxFailures = 50
)

// An output is a row with what it was made from.
type output struct {
	row     dashboard.OutputRow
	number  uint32
	claims  *divergence.Output
	members []store.Member // of the newest package sets
}

// outputs returns the outputs with the given numbers, by key.
func (q *Query) outputs(ctx context.Context, t *store.Tables, numbers []uint32) ([]output, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	names, err := t.Names(ctx, numbers)
	if err != nil {
		return nil, err
	}
	ids := make([]attestation.OutputID, 0, len(names))
	for _, n := range names {
		ids = append(ids, attestation.NewOutputID(n.Ecosystem, n.Key))
	}
	states, err := t.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	members, err := t.MembershipsOf(ctx, numbers)
	if err != nil {
		return nil, err
	}
	roster := q.index.Roster()
	list := make([]output, 0, len(numbers))
	differ := map[uint32]divergence.Inputs{}
	for _, number := range numbers {
		name, ok := names[number]
		if !ok {
			continue
		}
		o := output{number: number, claims: &divergence.Output{}}
		if state, ok := states[attestation.NewOutputID(name.Ecosystem, name.Key)]; ok {
			o.claims = &state.Claims
		}
		j := divergence.Judge(o.claims, roster)
		o.row = row(name, j)
		if j.Verdict == divergence.Diverged {
			differ[number] = j.Inputs
		}
		list = append(list, o)
	}
	for _, m := range members {
		if i := slices.IndexFunc(list, func(o output) bool { return o.number == m.Output }); i >= 0 {
			list[i].row.Output = cmp.Or(list[i].row.Output, m.Name)
			list[i].members = append(list[i].members, m)
		}
	}
	causes, err := causes(ctx, t, differ, members)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].row.Cause = causes[list[i].number]
	}
	slices.SortFunc(list, func(a, b output) int {
		return cmp.Or(strings.Compare(a.row.Key, b.row.Key), strings.Compare(a.row.Ecosystem, b.row.Ecosystem))
	})
	return list, nil
}

func row(name store.OutputName, j divergence.Judgement) dashboard.OutputRow {
	return dashboard.OutputRow{
		Key: name.Key, Ecosystem: name.Ecosystem, Build: name.Build, Output: name.Name,
		Verdict: j.Verdict.String(), Shape: j.Shape.String(), Operators: j.Operators, Digests: j.Digests,
	}
}

// causes names the causes of divergences, given how their inputs compare and
// what package sets say of them.
func causes(ctx context.Context, t *store.Tables, diverged map[uint32]divergence.Inputs, members []store.Member) (map[uint32]string, error) {
	inputs := map[uint32][]uint32{}
	var all []uint32
	for _, m := range members {
		if diverged[m.Output] == divergence.InputsDiffer {
			inputs[m.Output] = append(inputs[m.Output], m.Inputs...)
			all = append(all, m.Inputs...)
		}
	}
	diverging, err := t.Diverging(ctx, all)
	if err != nil {
		return nil, err
	}
	names := make(map[uint32]string, len(diverged))
	for number, compared := range diverged {
		inherits := slices.ContainsFunc(inputs[number], func(input uint32) bool { return diverging[input] })
		names[number] = divergence.CauseOf(compared, inherits).String()
	}
	return names, nil
}

func rows(outputs []output) []dashboard.OutputRow {
	list := make([]dashboard.OutputRow, len(outputs))
	for i, o := range outputs {
		list[i] = o.row
	}
	return list
}

// ByDigest implements [dashboard.OutputSource].
func (q *Query) ByDigest(ctx context.Context, digest attestation.Digest) ([]dashboard.OutputRow, error) {
	t, release := q.store.Acquire()
	defer release()
	numbers, err := t.MayHaveDigest(ctx, digest, maxOutputs)
	if err != nil {
		return nil, err
	}
	found, err := q.outputs(ctx, t, numbers)
	if err != nil {
		return nil, err
	}
	withdrawals, err := t.Withdrawals(ctx, numbers)
	if err != nil {
		return nil, err
	}
	return rows(slices.DeleteFunc(found, func(o output) bool {
		return !slices.ContainsFunc(o.claims.Claims, func(c divergence.Claim) bool { return c.Digest == digest }) &&
			!slices.ContainsFunc(withdrawals, func(w store.Withdrawal) bool { return w.Output == o.number && w.Digest == digest })
	})), nil
}

// Search implements [dashboard.OutputSource].
func (q *Query) Search(ctx context.Context, text string, limit int) ([]dashboard.OutputRow, error) {
	t, release := q.store.Acquire()
	defer release()
	numbers, err := t.Search(ctx, text, min(limit, maxOutputs))
	if err != nil {
		return nil, err
	}
	found, err := q.outputs(ctx, t, numbers)
	return rows(found), err
}

// Output implements [dashboard.OutputSource].
func (q *Query) Output(ctx context.Context, key string) (*dashboard.Output, error) {
	t, release := q.store.Acquire()
	defer release()
	ecosystems, err := t.Ecosystems(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]attestation.OutputID, len(ecosystems))
	for i, ecosystem := range ecosystems {
		ids[i] = attestation.NewOutputID(ecosystem, key)
	}
	states, err := t.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if state, ok := states[id]; ok {
			found, err := q.whole(ctx, t, []uint32{state.Output})
			if err != nil || len(found) == 0 {
				return nil, cmp.Or(err, dashboard.ErrNotFound)
			}
			return &found[0], nil
		}
	}
	return nil, dashboard.ErrNotFound
}

// whole returns everything about outputs.
func (q *Query) whole(ctx context.Context, t *store.Tables, numbers []uint32) ([]dashboard.Output, error) {
	found, err := q.outputs(ctx, t, numbers)
	if err != nil {
		return nil, err
	}
	withdrawals, err := t.Withdrawals(ctx, numbers)
	if err != nil {
		return nil, err
	}
	list := make([]dashboard.Output, len(found))
	for i, o := range found {
		list[i].OutputRow = o.row
		if err := q.addClaims(ctx, t, &list[i], &o, withdrawals); err != nil {
			return nil, err
		}
		if list[i].Member, err = q.plans(ctx, t, o.members); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// addClaims adds an output's claims, and the history of its verdict that came of
// them.
func (q *Query) addClaims(ctx context.Context, t *store.Tables, to *dashboard.Output, o *output, withdrawals []store.Withdrawal) error {
	observations, err := t.Observations(ctx, o.number, maxClaims)
	if err != nil {
		return err
	}
	changes, err := t.Changes(ctx, o.number)
	if err != nil {
		return err
	}
	indices := make([]uint64, len(observations))
	for i := range observations {
		indices[i] = observations[i].Index
	}
	details, err := q.read(ctx, indices)
	if err != nil {
		return err
	}
	for _, c := range changes {
		indices = append(indices, c.Index)
	}
	times, err := received(ctx, t, details, indices)
	if err != nil {
		return err
	}
	to.History = history(changes, times)
	roster := q.index.Roster()
	to.Claims = make([]dashboard.Claim, len(observations))
	for i, seen := range observations {
		c := claim(roster, seen.Builder, seen.Index, details[seen.Index], to.Key)
		c.ReceivedAt = times[seen.Index]
		digest, withdrawn := digestOf(seen, o.claims, withdrawals)
		c.Digest = digest.String()
		if c.Status == "" && withdrawn {
			c.Counts, c.Status = false, "withdrawn"
		}
		addDocument(&c, seen, o.claims, details[seen.Index], roster)
		to.Claims[i] = c
		if d := details[seen.Index]; d != nil && to.DigestKind == "" {
			to.DigestKind = string(d.digestKind())
		}
	}
	return nil
}

// digestOf returns the whole digest of an observation, and whether the claim was
// withdrawn since.
func digestOf(seen store.Observation, claims *divergence.Output, withdrawals []store.Withdrawal) (digest attestation.Digest, withdrawn bool) {
	for _, c := range claims.Claims {
		if c.Builder == seen.Builder && store.Short(c.Digest[:]) == seen.Digest && c.Index <= seen.Index {
			return c.Digest, false
		}
	}
	for _, w := range withdrawals {
		if w.Output == seen.Output && w.Builder == seen.Builder && store.Short(w.Digest[:]) == seen.Digest && w.Index > seen.Index {
			return w.Digest, true
		}
	}
	return attestation.Digest{}, true
}

// claim returns what is shown of a claim but its digest. d may be nil.
func claim(roster *enrolment.Roster, builder uint32, index uint64, d *detail, key string) dashboard.Claim {
	c := dashboard.Claim{Index: index, Counts: true}
	if b, ok := roster.ByNumber(builder); ok {
		c.Builder, c.Operator, c.Tier = string(b.ID), b.Operator, string(b.Tier)
		switch {
		case index >= b.RevokedFrom:
			c.Counts, c.Status = false, "revoked"
		case b.Tier != enrolment.Counted:
			c.Counts, c.Status = false, "open"
		}
	}
	if d == nil {
		return c
	}
	c.ReceivedAt = d.receivedAt
	if d.statement == nil {
		return c
	}
	c.Environment = d.statement.Environment
	if build := d.of(key); build != nil {
		c.Occasion, c.FinishedOn = string(build.Occasion), build.Finished
		if !build.InputsDigest.IsZero() {
			c.InputsDigest = build.InputsDigest.String()
		}
	}
	return c
}

// received returns when entries were received: those with details say it themselves.
func received(ctx context.Context, t *store.Tables, details map[uint64]*detail, indices []uint64) (map[uint64]time.Time, error) {
	var unknown []uint64
	for _, index := range indices {
		if details[index] == nil {
			unknown = append(unknown, index)
		}
	}
	times, err := t.ReceivedAt(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for index, d := range details {
		times[index] = d.receivedAt
	}
	return times, nil
}

func history(changes []store.Change, times map[uint64]time.Time) []dashboard.Change {
	list := make([]dashboard.Change, len(changes))
	for i, c := range changes {
		list[i] = dashboard.Change{Index: c.Index, ReceivedAt: times[c.Index], From: c.Old.String(), To: c.New.String()}
	}
	return list
}

// plans returns what the newest package sets say of an output.
func (q *Query) plans(ctx context.Context, t *store.Tables, members []store.Member) ([]dashboard.SetPlan, error) {
	plans := make([]dashboard.SetPlan, len(members))
	for i, m := range members {
		inputs, err := q.outputs(ctx, t, m.Inputs[:min(len(m.Inputs), maxOutputs)])
		if err != nil {
			return nil, err
		}
		plans[i] = dashboard.SetPlan{
			Set: m.Set, Attribute: m.Attribute, Version: m.Version, System: m.System, Maintainers: m.Maintainers, Inputs: rows(inputs),
		}
	}
	return plans, nil
}

// Build implements [dashboard.OutputSource].
func (q *Query) Build(ctx context.Context, name string) (*dashboard.Build, error) {
	t, release := q.store.Acquire()
	defer release()
	ecosystems, err := t.Ecosystems(ctx)
	if err != nil {
		return nil, err
	}
	for _, ecosystem := range ecosystems {
		id := attestation.NewOutputID(ecosystem, name)
		numbers, err := t.OfBuild(ctx, id)
		if err != nil {
			return nil, err
		}
		failures, err := q.failures(ctx, t, id, name)
		if err != nil {
			return nil, err
		}
		if len(numbers) == 0 && len(failures) == 0 {
			continue
		}
		outputs, err := q.whole(ctx, t, numbers[:min(len(numbers), maxOutputs)])
		if err != nil {
			return nil, err
		}
		return &dashboard.Build{Name: name, Ecosystem: ecosystem, Outputs: outputs, Failures: failures}, nil
	}
	return nil, dashboard.ErrNotFound
}

func (q *Query) failures(ctx context.Context, t *store.Tables, build attestation.OutputID, name string) ([]dashboard.Failure, error) {
	failures, err := t.Failures(ctx, build, maxFailures)
	if err != nil {
		return nil, err
	}
	indices := make([]uint64, len(failures))
	for i := range failures {
		indices[i] = failures[i].Index
	}
	details, err := q.read(ctx, indices)
	if err != nil {
		return nil, err
	}
	roster := q.index.Roster()
	list := make([]dashboard.Failure, 0, len(failures))
	for _, f := range failures {
		d := details[f.Index]
		i := slices.IndexFunc(d.statement.Builds, func(b attestation.Build) bool { return b.Name == name })
		b, ok := roster.ByNumber(f.Builder)
		if i < 0 || !ok {
			continue // another build with the same 64 bits
		}
		list = append(list, dashboard.Failure{
			Index: f.Index, ReceivedAt: d.receivedAt, Builder: string(b.ID), Operator: b.Operator,
			Failure: d.statement.Builds[i].Failure, Environment: d.statement.Environment,
		})
	}
	return list, nil
}
