package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/dashboard"
	"repronet/divergence"
	"repronet/enrolment"
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
	filter := store.DivergenceFilter{Set: query.Set, Maintainer: query.Maintainer}
	if query.Shape != "" {
		shape, ok := divergence.ParseShape(query.Shape)
		if !ok {
			return filter, false
		}
		filter.Shape = shape
	}
	if query.Cause != "" {
		cause, ok := divergence.ParseCause(query.Cause)
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
	inputs := make(map[uint32]divergence.Inputs, len(found))
	for i, d := range found {
		numbers[i], indices[i], inputs[d.Output] = d.Output, d.Since, d.Inputs
	}
	names, err := t.Names(ctx, numbers)
	if err != nil {
		return nil, err
	}
	times, err := t.ReceivedAt(ctx, indices)
	if err != nil {
		return nil, err
	}
	members, err := t.MembershipsOf(ctx, numbers)
	if err != nil {
		return nil, err
	}
	causes, err := causes(ctx, t, inputs, members)
	if err != nil {
		return nil, err
	}
	outputNames := map[uint32]string{}
	for _, m := range members {
		outputNames[m.Output] = m.Name
	}
	roster := q.index.Roster()
	list := make([]dashboard.Divergence, len(found))
	for i, d := range found {
		list[i] = dashboard.Divergence{
			OutputRow: row(names[d.Output], divergence.Judge(&d.Claims, roster)),
			Since:     times[d.Since], Index: d.Since, Previous: d.Previous.String(),
			Factions: factions(&d.Claims, roster),
		}
		list[i].Cause = causes[d.Output]
		list[i].Output = cmp.Or(list[i].Output, outputNames[d.Output])
	}
	return list, nil
}

// factions groups the operators that count by the digest that they hold.
func factions(claims *divergence.Output, roster *enrolment.Roster) []dashboard.Faction {
	list := []dashboard.Faction{}
	var last attestation.Digest
	for c, standing := range claims.Weigh(roster) { // sorted by digest
		if standing != divergence.Stands {
			continue
		}
		b, _ := roster.ByNumber(c.Builder)
		if len(list) == 0 || c.Digest != last {
			last = c.Digest
			list = append(list, dashboard.Faction{Digest: c.Digest.String()})
		}
		f := &list[len(list)-1]
		if !slices.Contains(f.Operators, b.Operator) {
			f.Operators = append(f.Operators, b.Operator)
		}
	}
	for i := range list {
		slices.Sort(list[i].Operators)
	}
	slices.SortStableFunc(list, func(a, b dashboard.Faction) int { return cmp.Compare(len(b.Operators), len(a.Operators)) })
	return list
}
