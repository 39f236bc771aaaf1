package index

import (
	"slices"

	"repronet.dev/aggregator/store"
)

// An operator that copies another's digests agrees with it also where there is nothing to
// agree on: on outputs that never come out alike.
//
// On a diverged output, a digest tells something if, without those who hold it, at
// least two counted operators remain, and no other digest has two counted holders:
// others scatter. With one counted operator beside its holders, that one may as well
// be sick. Operators of any tier are compared pairwise on the outputs that have such
// a digest. If two hold the same one on at least copiedOutputs of them, and on
// copiedShare percent of those that both claim, one seems to copy: the one that came
// later on most or, where both came later equally often, was enrolled later.
//
// Two machines with one environment that no third one has look the same. So this
// is a notice to people, never evidence: nothing that decides verdicts reads it.
const (
	copiedOutputs  = 5
	copiedShare    = 80
	copiedExamples = 20
)

// echoes are what two operators, of which the first was enrolled earlier, said of
// outputs on which others scatter.
type echoes struct {
	common, same uint64
	secondLater  uint64   // how often the second came later with the same
	outputs      []uint32 // the first by number of those that are the same
}

// echo compares the operators on the output at hand, which diverges, if one of its
// digests tells something.
func (s *sums) echo(output uint32) {
	tells := s.telling()
	if tells == nil {
		return
	}
	for i, a := range s.positions {
		for _, b := range s.positions[i+1:] {
			c := s.pairs[pair{a[0].operator, b[0].operator}]
			c.common++
			if x, y, ok := shared(a, b, tells); ok {
				c.found(output, y.index > x.index)
			}
		}
	}
}

// telling returns the digests that tell something.
func (s *sums) telling() (tells map[int]bool) {
	counted, backers := 0, map[int]int{}
	for _, p := range s.positions {
		if slices.ContainsFunc(p, func(h holder) bool { return h.counted }) {
			counted++
		}
		for _, h := range p {
			backers[h.digest] += 0 // also one that no counted operator holds
			if h.counted {
				backers[h.digest]++
			}
		}
	}
	several := 0
	for _, n := range backers {
		if n > 1 {
			several++
		}
	}
	for digest, n := range backers {
		if counted-n >= 2 && (several == 0 || several == 1 && n > 1) {
			if tells == nil {
				tells = map[int]bool{}
			}
			tells[digest] = true
		}
	}
	return tells
}

// shared returns what two positions say of the first digest that tells something
// and is in both.
func shared(a, b position, tells map[int]bool) (x, y holder, ok bool) {
	for _, x := range a {
		if !tells[x.digest] {
			continue
		}
		if i := slices.IndexFunc(b, func(y holder) bool { return y.digest == x.digest }); i >= 0 {
			return x, b[i], true
		}
	}
	return holder{}, holder{}, false
}

func (e *echoes) found(output uint32, secondLater bool) {
	e.same++
	if secondLater {
		e.secondLater++
	}
	// Outputs come in no particular order; what is kept of them must not depend on it.
	if i, _ := slices.BinarySearch(e.outputs, output); i < copiedExamples {
		e.outputs = slices.Insert(e.outputs, i, output)
		e.outputs = e.outputs[:min(len(e.outputs), copiedExamples)]
	}
}

func (s *sums) copying() []store.Copying {
	var all []store.Copying
	for key, c := range s.pairs {
		if c.same < copiedOutputs || c.same*100 < c.common*copiedShare {
			continue
		}
		found := store.Copying{Operator: key.b, Source: key.a, Common: c.common, Same: c.same, Outputs: c.outputs}
		if c.secondLater*2 < c.same {
			found.Operator, found.Source = key.a, key.b
		}
		all = append(all, found)
	}
	return all
}
