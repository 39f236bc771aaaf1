package query

import (
	"context"
	"fmt"
	"slices"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// Changes implements [dashboard.DivergenceSource].
func (q *Query) Changes(ctx context.Context, query dashboard.ChangeQuery) (page []dashboard.VerdictChange, next string, err error) {
	t, release := q.store.Acquire()
	defer release()
	if query.Set != "" {
		if _, err := q.set(ctx, t, query.Set); err != nil {
			return nil, "", err
		}
	}
	behind, err := parseCursor(query.Cursor)
	if err != nil {
		return nil, "", err
	}
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, "", err
	}
	filter := store.TurnFilter{Set: query.Set, Maintainer: query.Maintainer, Ecosystem: query.Ecosystem, Project: query.Project, Package: query.Package}
	limit := min(max(query.Limit, 1), maxOutputs)
	turns, err := t.Turns(ctx, filter, w.Size, behind, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(turns) > limit {
		turns = turns[:limit]
		next = fmt.Sprintf("%d.%d", turns[limit-1].Index, turns[limit-1].Output)
	}
	list := make([]dashboard.VerdictChange, len(turns))
	for i, turn := range turns {
		list[i] = dashboard.VerdictChange{Kind: api.NewChangeKind(turn.New)}
	}
	return list, next, describe(ctx, t, list, turns)
}

// describe completes changes by what their outputs are called, and when their entries were
// received.
func describe(ctx context.Context, t *store.Tables, list []dashboard.VerdictChange, turns []store.Change) error {
	outputs, indices := make([]uint32, len(turns)), make([]uint64, len(turns))
	for i, turn := range turns {
		outputs[i], indices[i] = turn.Output, turn.Index
	}
	names, err := t.Names(ctx, outputs)
	if err != nil {
		return err
	}
	times, err := t.ReceivedAt(ctx, indices)
	if err != nil {
		return err
	}
	for i, turn := range turns {
		name := names[turn.Output]
		list[i].Key, list[i].Ecosystem, list[i].Build, list[i].Output = name.Key, name.Ecosystem, name.Build, name.Name
		list[i].Change = dashboard.Change{
			Index: turn.Index, ReceivedAt: times[turn.Index], From: api.NewVerdict(turn.Old), To: api.NewVerdict(turn.New),
		}
	}
	return nil
}

// feedRevisions is how many revisions of a set its changes go back.
const feedRevisions = 8

// SetChanges implements [dashboard.SetSource].
func (q *Query) SetChanges(ctx context.Context, set string, limit int) ([]dashboard.VerdictChange, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	revisions, err := t.Revisions(ctx, set, w.Size, feedRevisions)
	if err != nil {
		return nil, err
	}
	if len(revisions) == 0 {
		return nil, dashboard.ErrNotFound
	}
	turns, err := t.SetTurns(ctx, set, revisions[len(revisions)-1].Index, w.Size, min(max(limit, 1), maxOutputs))
	if err != nil {
		return nil, err
	}
	changes, err := inSets(ctx, t, turns, w.Size)
	if err != nil {
		return nil, err
	}
	list := []dashboard.VerdictChange{}
	var kept []store.Change
	for i, change := range changes {
		if change.Kind != "" {
			list, kept = append(list, change), append(kept, turns[i].Change)
		}
	}
	return list, describe(ctx, t, list, kept)
}

// inSets says of each turn in a package set what it is for the set, as of the first size
// entries; its kind is "" if the set did not change by it. What the outputs are called, and
// the times, are for [describe] to say.
func inSets(ctx context.Context, t *store.Tables, turns []store.SetTurn, size uint64) ([]dashboard.VerdictChange, error) {
	var earlier []uint32
	for _, turn := range turns {
		if turn.Before != nil {
			earlier = append(earlier, *turn.Before)
		}
	}
	slices.Sort(earlier)
	earlier = slices.Compact(earlier)
	past, err := t.ChangesBefore(ctx, earlier, size)
	if err != nil {
		return nil, err
	}
	names, err := t.Names(ctx, earlier)
	if err != nil {
		return nil, err
	}
	list := make([]dashboard.VerdictChange, len(turns))
	for i, turn := range turns {
		change := dashboard.VerdictChange{Attribute: turn.Attribute, Version: turn.Version, System: turn.System}
		was := divergence.Unbuilt
		if turn.Before != nil {
			was = verdictAt(past[*turn.Before], turn.Index)
		}
		switch {
		case turn.New == divergence.Diverged && was == divergence.Reproduced:
			change.Kind, change.Was = api.ChangeRegressed, names[*turn.Before].Key
		case turn.New == divergence.Diverged || turn.Old == divergence.Diverged:
			change.Kind = api.NewChangeKind(turn.New)
		case turn.New == divergence.Reproduced && was == divergence.Diverged:
			change.Kind, change.Was = api.ChangeFixed, names[*turn.Before].Key
		default: // it diverged at another time
		}
		list[i] = change
	}
	return list, nil
}

// verdictAt is the verdict on an output as of a ledger entry, given its history.
func verdictAt(history []store.Change, index uint64) divergence.Verdict {
	verdict := divergence.Unbuilt
	for _, c := range history {
		if c.Index <= index {
			verdict = c.New
		}
	}
	return verdict
}
