// Package suggest says what is worth building next. It ranks, and nothing else: what is
// undecided comes from the index.
//
// The order of outputs of a package set is
//
//  1. those that one operator has built ("confirm"), since one more build decides each,
//     before those that nobody has ("begin"), since what is begun is worth nothing before
//     it is finished;
//  2. of these, those that most other outputs of the set are built with;
//  3. of these, those that have waited longest.
//
// What the asking operator has claimed, or failed to build, is in no list of its own: nobody
// confirms what is their own, and what failed once is not asked for again.
//
// Volunteers who ask at the same time would all be told the same. So the first of the order,
// [Window] times as many as are asked for, are dealt out: within a reason, each builder
// gets them by a hash of its own ID and the build's name (rendezvous hashing). The same
// builder is told the same as long as nothing changes.
package suggest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"repronet.dev/api"
)

// Window is from how many times as many builds as were asked for those are chosen that a
// builder is told.
const Window = 8

// Deal chooses limit builds for a builder from those that are best for everybody, which are
// in their order. For nobody in particular ("") these are the first.
func Deal(best []api.Suggestion, builder string, limit int) []api.Suggestion {
	if builder != "" {
		type dealt struct {
			api.Suggestion
			lot [sha256.Size]byte
		}
		list := make([]dealt, len(best))
		for i, s := range best {
			name := s.Build
			if name == "" && len(s.Outputs) > 0 {
				name = s.Outputs[0]
			}
			list[i] = dealt{s, sha256.Sum256([]byte(builder + "\x00" + name))}
		}
		slices.SortStableFunc(list, func(a, b dealt) int {
			return cmp.Or(order(a.Reason)-order(b.Reason), bytes.Compare(a.lot[:], b.lot[:]))
		})
		best = make([]api.Suggestion, len(list))
		for i, d := range list {
			best[i] = d.Suggestion
		}
	}
	return best[:min(len(best), limit)]
}

// order says which reason comes first.
func order(r api.Reason) int {
	if r == api.Confirm {
		return 0
	}
	return 1
}
