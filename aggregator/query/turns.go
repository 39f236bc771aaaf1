package query

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// A Turn is a change of an output's verdict that somebody may wait for.
type Turn struct {
	// VerdictChange is the change by itself, whatever package sets say. Its Kind is "" where
	// it is one for a package set alone: reproduced, in the place of what was diverged.
	dashboard.VerdictChange
	// In is what the change was in the package sets that had the output then, by set.
	In []SetTurn
}

// A SetTurn is what a change was in one package set.
type SetTurn struct {
	Set         string
	Maintainers []string // that the set names
	// VerdictChange has the member's attribute, version and system. Its Kind is "" if the
	// set did not change by it.
	dashboard.VerdictChange
}

// turnPage is how many changes [Query.Turns] reads at a time.
const turnPage = 1000

// Turns yields the changes by the ledger entries from ≤ index < to, in ledger order. It holds
// a thousand at a time, however many there are. An index that has not come to these
// entries is an error.
func (q *Query) Turns(ctx context.Context, from, to uint64) iter.Seq2[*Turn, error] {
	return func(yield func(*Turn, error) bool) {
		t, release := q.store.Acquire()
		defer release()
		if w, err := t.Watermark(ctx); err != nil || w.Size < to {
			yield(nil, cmp.Or(err, fmt.Errorf("the index has %d entries of the ledger, and changes up to %d are asked for: it is being made anew", w.Size, to)))
			return
		}
		var behind *store.Place
		for {
			changes, err := t.TurnsBetween(ctx, from, to, behind, turnPage)
			var turns []Turn
			if err == nil {
				turns, err = described(ctx, t, changes, to)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range turns {
				if !yield(&turns[i], nil) {
					return
				}
			}
			if len(changes) < turnPage {
				return
			}
			last := changes[len(changes)-1]
			behind = &store.Place{Since: last.Index, Output: last.Output}
		}
	}
}

// described says what changes are, by themselves and in package sets.
func described(ctx context.Context, t *store.Tables, changes []store.Change, size uint64) ([]Turn, error) {
	alone := make([]dashboard.VerdictChange, len(changes))
	for i, c := range changes {
		if c.Old == divergence.Diverged || c.New == divergence.Diverged {
			alone[i].Kind = api.NewChangeKind(c.New)
		}
	}
	if err := describe(ctx, t, alone, changes); err != nil {
		return nil, err
	}
	of, err := t.TurnsOf(ctx, changes)
	if err != nil {
		return nil, err
	}
	in, err := inSets(ctx, t, of, size)
	if err != nil {
		return nil, err
	}
	turns, next := make([]Turn, len(changes)), 0
	for i, c := range changes {
		turns[i].VerdictChange = alone[i]
		for ; next < len(of) && of[next].Change == c; next++ {
			change := alone[i]
			change.Kind, change.Was = in[next].Kind, in[next].Was
			change.Attribute, change.Version, change.System = in[next].Attribute, in[next].Version, in[next].System
			turns[i].In = append(turns[i].In, SetTurn{of[next].Set, of[next].Maintainers, change})
		}
	}
	return turns, nil
}
