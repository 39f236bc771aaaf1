package query

import (
	"context"
	"maps"
	"slices"
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
)

// Limits of what one answer says of whole outputs.
const (
	maxClaims     = 2000    // of an output
	maxPageClaims = 100_000 // of all of them
	maxInputs     = 20_000  // of all of them
)

// whole returns everything about outputs, by key: one question of the index for
// each kind of fact, however many outputs there are.
func (q *Query) whole(ctx context.Context, t *store.Tables, numbers []uint32) ([]dashboard.Output, error) {
	if len(numbers) == 0 {
		return []dashboard.Output{}, nil
	}
	members, err := t.MembershipsWithInputs(ctx, numbers)
	if err != nil {
		return nil, err
	}
	all, err := assemble(ctx, t, withInputs(numbers, members), members)
	if err != nil {
		return nil, err
	}
	facts, err := q.facts(ctx, t, numbers)
	if err != nil {
		return nil, err
	}
	numbered := byNumber(all)
	list := make([]dashboard.Output, 0, len(numbers))
	for i := range all {
		o := &all[i]
		if !slices.Contains(numbers, o.number) {
			continue // an input
		}
		whole := dashboard.Output{OutputRow: o.row, Member: plans(o.members, numbered)}
		q.addClaims(&whole, o, facts)
		list = append(list, whole)
	}
	return list, nil
}

// withInputs adds to outputs what package sets say that they are built from.
func withInputs(numbers []uint32, members []store.Member) []uint32 {
	all := make(map[uint32]struct{}, len(numbers))
	for _, number := range numbers {
		all[number] = struct{}{}
	}
	for _, m := range members {
		if !slices.Contains(numbers, m.Output) {
			continue // an input itself
		}
		for _, input := range m.Inputs[:min(len(m.Inputs), maxOutputs)] {
			if len(all) < len(numbers)+maxInputs {
				all[input] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// plans returns what the newest package sets say of an output.
func plans(members []store.Member, outputs map[uint32]*output) []dashboard.SetPlan {
	plans := make([]dashboard.SetPlan, len(members))
	for i, m := range members {
		var inputs []output
		for _, number := range m.Inputs[:min(len(m.Inputs), maxOutputs)] {
			if o, ok := outputs[number]; ok {
				inputs = append(inputs, *o)
			}
		}
		slices.SortFunc(inputs, byKey)
		plans[i] = dashboard.SetPlan{
			Set: m.Set, Attribute: m.Attribute, Version: m.Version, System: m.System, Maintainers: m.Maintainers, Inputs: rows(inputs),
		}
	}
	return plans
}

// facts are what the index and the ledger say of outputs beyond their states.
type facts struct {
	observations map[uint32][]store.Observation
	earlier      map[uint32]bool // of which there are more
	withdrawals  map[uint32][]store.Withdrawal
	changes      map[uint32][]store.Change
	details      map[uint64]*detail   // of the newest claims
	received     map[uint64]time.Time // when the entries of claims and changes were
}

func (q *Query) facts(ctx context.Context, t *store.Tables, numbers []uint32) (f *facts, err error) {
	f = &facts{withdrawals: map[uint32][]store.Withdrawal{}, earlier: map[uint32]bool{}}
	most := min(maxClaims, maxPageClaims/len(numbers))
	if f.observations, err = t.Observations(ctx, numbers, most+1); err != nil {
		return nil, err
	}
	for number, observations := range f.observations {
		if len(observations) > most {
			f.observations[number], f.earlier[number] = observations[len(observations)-most:], true
		}
	}
	withdrawals, err := t.Withdrawals(ctx, numbers)
	if err != nil {
		return nil, err
	}
	for _, w := range withdrawals {
		f.withdrawals[w.Output] = append(f.withdrawals[w.Output], w)
	}
	if f.changes, err = t.ChangesBefore(ctx, numbers, store.Newest); err != nil {
		return nil, err
	}
	wanted := newestOfEach(f.observations, maxPageDetails)
	for _, w := range withdrawals[:min(len(withdrawals), maxPageDetails)] {
		wanted = append(wanted, w.Index) // for its reason
	}
	slices.Sort(wanted)
	if f.details, err = q.read(ctx, slices.Compact(wanted)); err != nil {
		return nil, err
	}
	indices := map[uint64]struct{}{}
	for _, observations := range f.observations {
		for _, o := range observations {
			indices[o.Index] = struct{}{}
		}
	}
	for _, changes := range f.changes {
		for _, c := range changes {
			indices[c.Index] = struct{}{}
		}
	}
	f.received, err = received(ctx, t, f.details, slices.Collect(maps.Keys(indices)))
	return f, err
}

// newestOfEach returns the ledger indices of the newest claims of each output: of
// every output the newest one, and further ones while there are fewer than n.
func newestOfEach(observations map[uint32][]store.Observation, n int) []uint64 {
	chosen := map[uint64]struct{}{}
	for depth := 1; ; depth++ {
		deeper := false
		for _, number := range slices.Sorted(maps.Keys(observations)) {
			claims := observations[number]
			if depth > len(claims) || depth > 1 && len(chosen) >= n {
				continue
			}
			deeper = true
			chosen[claims[len(claims)-depth].Index] = struct{}{}
		}
		if !deeper {
			return slices.Sorted(maps.Keys(chosen))
		}
	}
}

// addClaims adds an output's claims, and the history of its verdict that came of
// them.
func (q *Query) addClaims(to *dashboard.Output, o *output, facts *facts) {
	to.History = history(facts.changes[o.number], facts.received)
	roster, observations := q.index.Roster(), facts.observations[o.number]
	to.Claims, to.Earlier = make([]dashboard.Claim, len(observations)), facts.earlier[o.number]
	for i, seen := range observations {
		details := facts.details[seen.Index]
		c := claim(roster, seen.Builder, seen.Index, details, to.Key)
		c.ReceivedAt = facts.received[seen.Index]
		c.Digest = addStanding(&c, seen, o.claims, facts.withdrawals[o.number], facts.details, roster).String()
		addDocument(&c, seen, o.claims, details, roster)
		to.Claims[i] = c
		if details != nil && to.DigestKind == "" {
			to.DigestKind = string(details.digestKind())
		}
	}
}

// addStanding says of a claim that it was withdrawn, and why, and returns its digest.
func addStanding(c *dashboard.Claim, seen store.Observation, claims *divergence.Output, withdrawals []store.Withdrawal, details map[uint64]*detail, roster *enrolment.Roster) attestation.Digest {
	digest, by, withdrawn := digestOf(seen, claims, withdrawals)
	switch {
	case c.Status == "" && withdrawn:
		c.Counts, c.Status = false, api.StandingWithdrawn
		if by != nil {
			c.By = &by.Index
			if d := details[by.Index]; d != nil && d.statement != nil {
				c.Reason = d.statement.Reason
			}
		}
	case c.Status == api.StandingRevoked:
		if b, ok := roster.ByNumber(seen.Builder); ok {
			c.Reason, c.By = b.RevokedReason, &b.RevokedAt
		}
	}
	return digest
}

// digestOf returns the whole digest of an observation, and whether the claim was
// withdrawn since and by what, given what stands on its output and what was taken back.
func digestOf(seen store.Observation, claims *divergence.Output, withdrawals []store.Withdrawal) (digest attestation.Digest, by *store.Withdrawal, withdrawn bool) {
	for _, c := range claims.Claims {
		if c.Builder == seen.Builder && store.Short(c.Digest[:]) == seen.Digest && c.Index <= seen.Index {
			return c.Digest, nil, false
		}
	}
	for i, w := range withdrawals {
		if w.Builder == seen.Builder && store.Short(w.Digest[:]) == seen.Digest && w.Index > seen.Index {
			return w.Digest, &withdrawals[i], true
		}
	}
	return attestation.Digest{}, nil, true
}

// claim returns what is shown of a claim but its digest. d may be nil.
func claim(roster *enrolment.Roster, builder uint32, index uint64, d *detail, key string) dashboard.Claim {
	c := dashboard.Claim{Index: index, Counts: true}
	if b, ok := roster.ByNumber(builder); ok {
		c.Builder, c.Operator, c.Tier = string(b.ID), b.Operator, api.Tier(b.Tier)
		switch {
		case index >= b.RevokedFrom:
			c.Counts, c.Status = false, api.StandingRevoked
		case b.Tier != enrolment.Counted:
			c.Counts, c.Status = false, api.StandingOpen
		}
	}
	if d == nil {
		return c
	}
	c.ReceivedAt = d.receivedAt
	if d.statement == nil {
		if d.evidence != nil && !d.evidence.Inputs.IsZero() {
			c.InputsDigest = d.evidence.Inputs.String()
		}
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
		list[i] = dashboard.Change{Index: c.Index, ReceivedAt: times[c.Index], From: api.NewVerdict(c.Old), To: api.NewVerdict(c.New)}
	}
	return list
}
