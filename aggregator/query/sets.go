package query

import (
	"context"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// SetRevisions implements [dashboard.SetSource].
func (q *Query) SetRevisions(ctx context.Context, set string, limit int) ([]dashboard.SetRevision, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	return revisions(ctx, t, set, w.Size, w.Size, min(max(limit, 1), maxOutputs))
}

// revisions returns the newest revisions of a package set that were published before a
// ledger index, newest first, with what the first size entries say of them.
func revisions(ctx context.Context, t *store.Tables, set string, before, size uint64, limit int) ([]dashboard.SetRevision, error) {
	found, err := t.Revisions(ctx, set, before, limit+1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, dashboard.ErrNotFound
	}
	list, at := make([]dashboard.SetRevision, min(len(found), limit)), make(map[uint64]*dashboard.SetRevision, limit)
	indices := make([]uint64, len(list))
	for i, s := range found[:len(list)] {
		indices[i], at[s.Index] = s.Index, &list[i]
		list[i].Set = setOf(s)
		if i+1 < len(found) {
			list[i].Before = found[i+1].Revision
		}
	}
	counts, err := t.CountMembers(ctx, set, indices, size)
	if err != nil {
		return nil, err
	}
	for index, c := range counts {
		r := at[index]
		r.Unbuilt, r.Single, r.Reproduced, r.Diverged = c[divergence.Unbuilt], c[divergence.Single], c[divergence.Reproduced], c[divergence.Diverged]
		r.Compared = r.Reproduced + r.Diverged
	}
	steps, err := t.CountSteps(ctx, set, indices, size)
	if err != nil {
		return nil, err
	}
	for i := range steps {
		countStep(at[steps[i].Revision], &steps[i])
	}
	return list, nil
}

// countStep adds a count to those of the revision that it is of.
func countStep(r *dashboard.SetRevision, c *store.StepCount) {
	switch c.Kind {
	case store.Added:
		r.Added += c.N
	case store.Removed:
		r.Removed += c.N
	case store.Changed:
		r.Changed += c.N
		switch {
		case c.Old == divergence.Reproduced && c.New == divergence.Diverged:
			r.Regressed += c.N
		case c.Old == divergence.Diverged && c.New == divergence.Reproduced:
			r.Fixed += c.N
		}
	}
}

// SetDifference implements [dashboard.SetSource].
func (q *Query) SetDifference(ctx context.Context, set, revision string, limit int) (*dashboard.SetDifference, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	before, err := behind(ctx, t, set, revision, w.Size)
	if err != nil {
		return nil, err
	}
	newest, err := revisions(ctx, t, set, before, w.Size, 1)
	if err != nil {
		return nil, err
	}
	d := &dashboard.SetDifference{
		SetRevision: newest[0], Regressions: []dashboard.SetChange{}, Fixes: []dashboard.SetChange{}, Divergences: []dashboard.SetChange{},
		Additions: []dashboard.SetChange{}, Removals: []dashboard.SetChange{},
	}
	steps, err := t.Steps(ctx, set, d.Index, w.Size, min(max(limit, 1), maxOutputs))
	if err != nil {
		return nil, err
	}
	return d, q.addSteps(ctx, t, d, steps)
}

// behind returns the ledger index before which a revision of a package set is the newest of
// those that the first size entries publish. "" is the newest of all.
func behind(ctx context.Context, t *store.Tables, set, revision string, size uint64) (uint64, error) {
	if revision == "" {
		return size, nil
	}
	index, found, err := t.RevisionOf(ctx, set, revision, size)
	if err == nil && !found {
		err = dashboard.ErrNotFound
	}
	return index + 1, err
}

// addSteps lists steps under what they are.
func (q *Query) addSteps(ctx context.Context, t *store.Tables, d *dashboard.SetDifference, steps []store.Step) error {
	changes, err := q.setChanges(ctx, t, steps)
	if err != nil {
		return err
	}
	for i, s := range steps {
		if changes[i] == nil {
			continue
		}
		to := &d.Additions
		switch {
		case s.Kind == store.Removed:
			to = &d.Removals
		case s.Kind == store.Changed && s.Old == divergence.Reproduced && s.New == divergence.Diverged:
			to = &d.Regressions
		case s.Kind == store.Changed && s.Old == divergence.Diverged && s.New == divergence.Reproduced:
			to = &d.Fixes
		case s.New == divergence.Diverged:
			to = &d.Divergences
		}
		*to = append(*to, *changes[i])
	}
	return nil
}

// setChanges returns the outputs that steps are about; nil for one that is being written.
func (q *Query) setChanges(ctx context.Context, t *store.Tables, steps []store.Step) ([]*dashboard.SetChange, error) {
	var numbers []uint32
	for _, s := range steps {
		numbers = append(numbers, s.Output)
		if s.Kind == store.Changed {
			numbers = append(numbers, s.Before)
		}
	}
	outputs, err := q.outputs(ctx, t, numbers)
	if err != nil {
		return nil, err
	}
	at := byNumber(outputs)
	changes := make([]*dashboard.SetChange, len(steps))
	for i, s := range steps {
		o := at[s.Output]
		if o == nil {
			continue
		}
		changes[i] = &dashboard.SetChange{OutputRow: o.row, Attribute: s.Attribute, Version: s.Version, System: s.System}
		if was := at[s.Before]; s.Kind == store.Changed && was != nil {
			changes[i].Was = &was.row
		}
	}
	return changes, nil
}

func setOf(s store.Set) api.Set {
	return api.Set{Name: s.Name, Revision: s.Revision, PublishedAt: s.ReceivedAt, Index: s.Index, Members: s.Members}
}
