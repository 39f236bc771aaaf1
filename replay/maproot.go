package replay

import (
	"errors"
	"fmt"
	"iter"

	"repronet.dev/outputmap"
)

// mapRoot is an entry that commits to a map, and why it cannot.
type mapRoot struct {
	index uint64
	root  outputmap.Root
	err   error
}

// ErrMapRoot is what [Replay.CheckMaps] wraps if the ledger commits to a map that
// is not the one of its entries: the signer of that entry's tree is convicted.
var ErrMapRoot = errors.New("wrong map root")

// CheckMaps computes the map to which the ledger's newest map root commits, or, if
// all is true, those of all map roots, and compares. It returns how many it did.
func (r *Replay) CheckMaps(all bool) (checked int, err error) {
	roots := r.roots
	if !all && len(roots) > 1 {
		roots = roots[len(roots)-1:]
	}
	for _, m := range roots {
		if m.err != nil {
			return checked, fmt.Errorf("%w: entry %d: %w", ErrMapRoot, m.index, m.err)
		}
		ours, err := outputmap.Sum(before(r.sorter.Pairs(nil), m.root.Size), m.root.Size)
		if err != nil {
			return checked, err
		}
		if ours != m.root {
			return checked, fmt.Errorf("%w: entry %d commits to %s with %d keys for the first %d entries, which make %s with %d keys",
				ErrMapRoot, m.index, m.root.Hash, m.root.Leaves, m.root.Size, ours.Hash, ours.Leaves)
		}
		checked++
	}
	return checked, nil
}

// before leaves out the pairs of later entries.
func before(pairs iter.Seq2[outputmap.Pair, error], size uint64) iter.Seq2[outputmap.Pair, error] {
	return func(yield func(outputmap.Pair, error) bool) {
		for pair, err := range pairs {
			if (err != nil || pair.Index < size) && !yield(pair, err) {
				return
			}
		}
	}
}
