package query

import (
	"context"
	"fmt"
	"slices"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
)

// Divergences implements [dashboard.DivergenceSource].
func (q *Query) Divergences(ctx context.Context, query dashboard.DivergenceQuery) (*dashboard.DivergencePage, error) {
	t, release := q.store.Acquire()
	defer release()
	if query.Set != "" {
		if _, err := q.set(ctx, t, query.Set); err != nil {
			return nil, err
		}
	}
	page := &dashboard.DivergencePage{Divergences: []dashboard.Divergence{}}
	filter, possible := q.filter(query)
	if !possible {
		return page, nil
	}
	behind, err := parseCursor(query.Cursor)
	if err != nil {
		return nil, err
	}
	if page.Total, err = t.CountDivergences(ctx, filter); err != nil {
		return nil, err
	}
	limit := min(max(query.Limit, 1), maxOutputs)
	found, err := t.Divergences(ctx, filter, behind, limit+1)
	if err != nil {
		return nil, err
	}
	if len(found) > limit {
		last := found[limit-1]
		page.Next = fmt.Sprintf("%d.%d", last.Since, last.Output)
		found = found[:limit]
	}
	page.Divergences, err = q.divergences(ctx, t, found)
	return page, err
}

// filter is false for a query that nothing can match.
func (q *Query) filter(query dashboard.DivergenceQuery) (store.DivergenceFilter, bool) {
	filter := store.DivergenceFilter{Set: query.Set, Maintainer: query.Maintainer, Ecosystem: query.Ecosystem, Project: query.Project, Package: query.Package}
	if query.Shape != "" {
		shape, ok := divergence.ParseShape(string(query.Shape))
		if !ok {
			return filter, false
		}
		filter.Shape = shape
	}
	if query.Cause != "" {
		cause, ok := divergence.ParseCause(string(query.Cause))
		if !ok {
			return filter, false
		}
		filter.Cause = &cause
	}
	if query.Builder != "" {
		b, ok := q.index.Roster().Builder(query.Builder)
		if !ok {
			return filter, false
		}
		filter.Builder = &b.Number
	}
	return filter, true
}

// parseCursor reads what Divergences wrote; a cursor that it did not write is
// one of nothing.
func parseCursor(cursor string) (*store.Place, error) {
	if cursor == "" {
		return nil, nil
	}
	var p store.Place
	if _, err := fmt.Sscanf(cursor, "%d.%d", &p.Since, &p.Output); err != nil {
		return nil, fmt.Errorf("cursor %.40q is not one that a page gave: %w", cursor, dashboard.ErrNotFound)
	}
	return &p, nil
}

func (q *Query) divergences(ctx context.Context, t *store.Tables, found []store.Divergence) ([]dashboard.Divergence, error) {
	numbers := make([]uint32, len(found))
	indices := make([]uint64, len(found))
	for i, d := range found {
		numbers[i], indices[i] = d.Output, d.Since
	}
	outputs, err := q.outputs(ctx, t, numbers)
	if err != nil {
		return nil, err
	}
	times, err := t.ReceivedAt(ctx, indices)
	if err != nil {
		return nil, err
	}
	regressed, err := q.regressed(ctx, t, outputs)
	if err != nil {
		return nil, err
	}
	at := byNumber(outputs)
	roster := q.index.Roster()
	list := make([]dashboard.Divergence, 0, len(found))
	for _, d := range found {
		o, ok := at[d.Output]
		if !ok || o.row.Verdict != api.Diverged {
			continue // the list is being written
		}
		list = append(list, dashboard.Divergence{
			OutputRow: o.row, Since: times[d.Since], Index: d.Since, Previous: api.NewVerdict(d.Previous), Regressed: regressed[d.Output], Factions: factions(o.claims, roster),
		})
	}
	return list, nil
}

// regressed returns, for those outputs that came in the place of one that is reproduced, the
// key of that one.
func (q *Query) regressed(ctx context.Context, t *store.Tables, diverged []output) (map[uint32]string, error) {
	var members []store.Member
	for i := range diverged {
		members = append(members, diverged[i].members...)
	}
	before, err := t.Predecessors(ctx, members)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	var earlier []uint32
	for _, list := range before {
		earlier = append(earlier, list...)
	}
	slices.Sort(earlier)
	outputs, err := q.outputs(ctx, t, slices.Compact(earlier))
	if err != nil {
		return nil, err
	}
	regressed := map[uint32]string{}
	for number, list := range before {
		for i := range outputs {
			if slices.Contains(list, outputs[i].number) && outputs[i].row.Verdict == api.Reproduced {
				regressed[number] = outputs[i].row.Key
				break
			}
		}
	}
	return regressed, nil
}

// factions groups the operators that count by the digest that they hold.
func factions(claims *divergence.Output, roster *enrolment.Roster) []dashboard.Faction {
	grouped := divergence.Factions(func(yield func(attestation.Digest, string) bool) {
		for c := range claims.Standing(roster) { // by digest
			if b, _ := roster.ByNumber(c.Builder); !yield(c.Digest, b.Operator) {
				return
			}
		}
	})
	list := make([]dashboard.Faction, len(grouped))
	for i, f := range grouped {
		list[i] = dashboard.Faction{Digest: f.Digest.String(), Operators: f.Holders}
	}
	return list
}
