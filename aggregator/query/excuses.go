package query

import (
	"context"
	"strings"

	"repronet.dev/aggregator/store"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// Excuses implements [dashboard.SetSource].
func (q *Query) Excuses(ctx context.Context, from, to string, limit int) (*dashboard.Excuses, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	e := &dashboard.Excuses{LedgerSize: w.Size, Excuses: []dashboard.Excuse{}}
	var entries [2]store.SetEntry
	for i, side := range []struct {
		written string
		set     *dashboard.Set
	}{{from, &e.From}, {to, &e.To}} {
		if *side.set, err = setAt(ctx, t, side.written, w.Size); err != nil {
			return nil, err
		}
		entries[i] = store.SetEntry{Set: side.set.Name, Index: side.set.Index}
	}
	counts, err := t.Between(ctx, entries[0], entries[1], w.Size)
	if err != nil {
		return nil, err
	}
	for _, c := range counts {
		e.Changed += c.N
		if c.New == divergence.Reproduced || c.Kind == store.Changed && c.Old != divergence.Reproduced {
			continue
		}
		e.Blocked += c.N
		if c.New != divergence.Diverged {
			e.Waiting += c.N
		}
	}
	steps, err := t.Worse(ctx, entries[0], entries[1], w.Size, min(max(limit, 1), maxOutputs))
	if err != nil {
		return nil, err
	}
	changes, err := q.setChanges(ctx, t, steps)
	if err != nil {
		return nil, err
	}
	for i, s := range steps {
		if changes[i] != nil {
			e.Excuses = append(e.Excuses, dashboard.Excuse{SetChange: *changes[i], Waits: s.New != divergence.Diverged})
		}
	}
	return e, nil
}

// setAt finds a revision that is written SET@REVISION, or SET@ for the newest, of those that the
// first size entries publish.
func setAt(ctx context.Context, t *store.Tables, written string, size uint64) (dashboard.Set, error) {
	set, revision, found := strings.Cut(written, "@")
	if !found {
		return dashboard.Set{}, dashboard.ErrNotFound
	}
	before, err := behind(ctx, t, set, revision, size)
	if err != nil {
		return dashboard.Set{}, err
	}
	newest, err := t.Revisions(ctx, set, before, 1)
	if err != nil {
		return dashboard.Set{}, err
	}
	if len(newest) == 0 {
		return dashboard.Set{}, dashboard.ErrNotFound
	}
	return setOf(newest[0]), nil
}
