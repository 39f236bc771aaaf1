package replay

import (
	"cmp"
	"slices"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// A pair is two operators, by their numbers, a < b.
type pair struct{ a, b uint32 }

// An agreement says how many outputs two operators claim both, and on how many they
// have the same position.
type agreement struct{ common, agree uint64 }

// An agreer compares operators of any tier as the entries before asOf make them,
// one output after the other.
type agreer struct {
	asOf  uint64
	pairs map[pair]agreement

	positions []position
}

// A position is the digests, by their numbers within the output, that an operator's
// builders claim.
type position struct {
	operator uint32
	digests  []int
}

// output takes in what was claimed of one output before asOf.
func (a *agreer) output(claims *divergence.Output, t *timeline) {
	if len(claims.Claims) < 2 {
		return
	}
	roster := &unrevoked{asOf{t, a.asOf - 1}}
	a.positions = a.positions[:0]
	number, last := 0, attestation.Digest{}
	for c, standing := range claims.Weigh(roster) { // by digest
		if c.Digest != last {
			number, last = number+1, c.Digest
		}
		if standing == divergence.Stands {
			operator, _ := roster.Counts(c.Builder, c.Index)
			a.hold(operator, number)
		}
	}
	for i, one := range a.positions {
		for _, other := range a.positions[i+1:] {
			key := pair{min(one.operator, other.operator), max(one.operator, other.operator)}
			sum := a.pairs[key]
			sum.common++
			if slices.Equal(one.digests, other.digests) {
				sum.agree++
			}
			a.pairs[key] = sum
		}
	}
}

// hold adds a digest to an operator's position.
func (a *agreer) hold(operator uint32, digest int) {
	i := slices.IndexFunc(a.positions, func(p position) bool { return p.operator == operator })
	if i < 0 {
		i = len(a.positions)
		if i < cap(a.positions) { // keep what was allocated for an earlier output
			a.positions = a.positions[:i+1]
		} else {
			a.positions = append(a.positions, position{})
		}
		a.positions[i].operator, a.positions[i].digests = operator, a.positions[i].digests[:0]
	}
	if p := &a.positions[i]; len(p.digests) == 0 || p.digests[len(p.digests)-1] != digest {
		p.digests = append(p.digests, digest)
	}
}

func (a *agreer) merge(other *agreer) {
	for key, sum := range other.pairs {
		all := a.pairs[key]
		a.pairs[key] = agreement{all.common + sum.common, all.agree + sum.agree}
	}
}

// unrevoked counts claims of operators of any tier.
type unrevoked struct{ asOf }

// Counts implements divergence.Operators.
func (u *unrevoked) Counts(builder uint32, index uint64) (operator uint32, counts bool) {
	v := u.version(builder)
	if v == nil {
		return 0, false
	}
	return v.operator, index < v.revokedFrom
}

// comparePairs compares how operators agree pairwise.
func (r *Replay) comparePairs(p *Published) error {
	names := map[uint32]string{}
	for b := range r.roster.All() {
		names[b.OperatorNumber] = b.Operator
	}
	ours := make([]publishedPair, 0, len(r.agreer.pairs))
	for key, sum := range r.agreer.pairs {
		ours = append(ours, publishedPair{api.Agreement{A: names[key.a], B: names[key.b], Common: sum.common, Agree: sum.agree}})
	}
	theirs := make([]publishedPair, 0, len(p.agreement.Pairs))
	for _, pair := range p.agreement.Pairs {
		theirs = append(theirs, publishedPair{pair})
	}
	order := func(a, b publishedPair) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) }
	slices.SortFunc(ours, order)
	slices.SortFunc(theirs, order)
	for i := range max(len(ours), len(theirs)) {
		of, a, b := "", nothing, nothing
		if i < len(theirs) {
			of, b = theirs[i].of(), theirs[i].String()
		}
		if i < len(ours) {
			if of == "" || order(ours[i], theirs[i]) < 0 {
				b = nothing
				of = ours[i].of()
			}
			if of == ours[i].of() {
				a = ours[i].String()
			}
		}
		if a != b {
			return differ(of, "agreement", a, b)
		}
	}
	return nil
}
