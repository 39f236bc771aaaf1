package query

import (
	"context"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// Maintainers implements [dashboard.MaintainerSource].
func (q *Query) Maintainers(ctx context.Context, query dashboard.MaintainerQuery) (*dashboard.MaintainerPage, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	limit := min(max(query.Limit, 1), maxOutputs)
	names, err := t.Maintainers(ctx, query.Text, query.Cursor, limit+1)
	if err != nil {
		return nil, err
	}
	page := &dashboard.MaintainerPage{Maintainers: []api.MaintainerRow{}}
	if len(names) > limit {
		names = names[:limit]
		page.Next = names[limit-1]
	}
	counts, err := t.CountMaintained(ctx, names, w.Size)
	for _, name := range names {
		page.Maintainers = append(page.Maintainers, api.MaintainerRow{Name: name, VerdictCounts: verdictCounts(counts[name])})
	}
	return page, err
}

func verdictCounts(c store.Counts) api.VerdictCounts {
	return api.VerdictCounts{
		Unbuilt: c[divergence.Unbuilt], Single: c[divergence.Single], Reproduced: c[divergence.Reproduced], Diverged: c[divergence.Diverged],
	}
}

// Maintainer implements [dashboard.MaintainerSource].
func (q *Query) Maintainer(ctx context.Context, name string, limit int) (*dashboard.Maintainer, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	m := &dashboard.Maintainer{
		MaintainerRow: api.MaintainerRow{Name: name},
		Regressions:   []dashboard.Divergence{}, Divergences: []dashboard.Divergence{}, Unconfirmed: []api.Unconfirmed{},
	}
	if m.Sets, err = t.SetsOfMaintainer(ctx, name); err != nil {
		return nil, err
	}
	if len(m.Sets) == 0 {
		return nil, dashboard.ErrNotFound
	}
	counts, err := t.CountMaintained(ctx, []string{name}, w.Size)
	if err != nil {
		return nil, err
	}
	m.VerdictCounts = verdictCounts(counts[name])
	limit = min(max(limit, 1), maxOutputs)
	found, err := t.Divergences(ctx, store.DivergenceFilter{Maintainer: name}, nil, maxOutputs)
	if err != nil {
		return nil, err
	}
	open, err := q.divergences(ctx, t, found)
	if err != nil {
		return nil, err
	}
	for _, d := range open {
		list := &m.Divergences
		if d.Regressed != "" {
			list = &m.Regressions
		}
		if len(*list) < limit {
			*list = append(*list, d)
		}
	}
	waiting, err := t.Unconfirmed(ctx, name, w.Size, limit)
	if err != nil {
		return nil, err
	}
	m.Unconfirmed, err = q.unconfirmed(ctx, t, waiting)
	return m, err
}

// unconfirmed describes members that wait to be built.
func (q *Query) unconfirmed(ctx context.Context, t *store.Tables, members []store.Member) ([]api.Unconfirmed, error) {
	numbers, published := make([]uint32, len(members)), make([]uint64, len(members))
	for i := range members {
		numbers[i], published[i] = members[i].Output, members[i].Since
	}
	outputs, err := q.outputs(ctx, t, unique(numbers))
	if err != nil {
		return nil, err
	}
	times, err := t.ReceivedAt(ctx, published)
	if err != nil {
		return nil, err
	}
	at := byNumber(outputs)
	list := make([]api.Unconfirmed, 0, len(members))
	for i := range members {
		m := &members[i]
		if o := at[m.Output]; o != nil {
			list = append(list, api.Unconfirmed{
				OutputRow: o.row, Set: m.Set, Attribute: m.Attribute, Version: m.Version, System: m.System, Since: times[m.Since], Revision: m.Since,
			})
		}
	}
	return list, nil
}
