package divergence

import (
	"cmp"
	"iter"
	"slices"
)

// A Group is what was said of one digest of an output.
type Group[D comparable, C any] struct {
	Digest D
	Claims []C // in the order in which they came
}

// ByDigest groups what is said of an output by digest, in the order in which the digests
// first occur.
func ByDigest[D comparable, C any](claims iter.Seq2[D, C]) []Group[D, C] {
	var groups []Group[D, C]
	for digest, c := range claims {
		i := slices.IndexFunc(groups, func(g Group[D, C]) bool { return g.Digest == digest })
		if i < 0 {
			i = len(groups)
			groups = append(groups, Group[D, C]{Digest: digest})
		}
		groups[i].Claims = append(groups[i].Claims, c)
	}
	return groups
}

// A Faction is those who hold one digest of an output.
type Faction[D comparable, H cmp.Ordered] struct {
	Digest  D
	Holders []H // each once, in order
}

// Factions groups holders of digests: the faction with the most holders comes first, and
// those of the same size in the order in which they first occur. What a digest and a
// holder is, and whose claims are given, is the caller's choice.
func Factions[D comparable, H cmp.Ordered](claims iter.Seq2[D, H]) []Faction[D, H] {
	groups := ByDigest(claims)
	factions := make([]Faction[D, H], len(groups))
	for i, g := range groups {
		slices.Sort(g.Claims)
		factions[i] = Faction[D, H]{g.Digest, slices.Compact(g.Claims)}
	}
	slices.SortStableFunc(factions, func(a, b Faction[D, H]) int { return cmp.Compare(len(b.Holders), len(a.Holders)) })
	return factions
}

// Standing yields the claims that stand, in the order of Claims.
func (o *Output) Standing(operators Operators) iter.Seq[Claim] {
	return func(yield func(Claim) bool) {
		for c, standing := range o.Weigh(operators) {
			if standing == Stands && !yield(c) {
				return
			}
		}
	}
}
