package index

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/divergence"
	"repronet/enrolment"
)

// RollUp computes over all outputs what is too much for a page: how operators
// agree pairwise, the verdicts of each builder's outputs, and which chains of
// statements have forks or gaps. Then it compacts the tables. It does nothing if
// nothing was indexed since the last time, and does not keep the index from going
// on meanwhile.
func (x *Index) RollUp(ctx context.Context) error {
	roster := x.Roster()
	tables, release := x.store.Acquire()
	defer release()
	watermark, err := tables.Watermark(ctx)
	if err != nil {
		return err
	}
	done, err := tables.RolledUp(ctx)
	if err != nil || done == watermark.Size {
		return err
	}
	sums := &sums{roster: roster, verdicts: map[uint32]store.Counts{}, pairs: map[pair]*store.Agreement{}}
	for s, err := range tables.AllStates(ctx) {
		if err != nil {
			return fmt.Errorf("rolling up: %w", err)
		}
		sums.add(s)
	}
	odd, err := tables.FindOddStreams(ctx)
	if err != nil {
		return fmt.Errorf("rolling up: %w", err)
	}
	if err := tables.WriteRollUp(ctx, &store.RollUp{
		Version: watermark.Size, Agreement: sums.agreement(), Verdicts: sums.verdicts, OddStreams: odd,
	}); err != nil {
		return err
	}
	ratio := float64(compactBusy)
	if watermark.Size == x.ledger.Size() {
		ratio = compactIdle
	}
	return tables.Compact(ctx, watermark.Outputs, ratio)
}

// How many rows an output may have before the tables are compacted: while
// entries wait, and while none do.
const (
	compactBusy = 2
	compactIdle = 1.1
)

// sums is what a roll-up adds up over the outputs.
type sums struct {
	roster   *enrolment.Roster
	verdicts map[uint32]store.Counts
	pairs    map[pair]*store.Agreement

	// Of the output at hand; kept to save allocations.
	builders  []uint32
	holders   []holder
	positions []position
}

type pair struct{ a, b uint32 } // numbers of operators, a < b

// A holder is an operator that holds the digest of a number within the output.
type holder struct {
	operator uint32
	digest   int
}

// A position is an operator's holders.
type position []holder

func (s *sums) add(state *store.State) {
	s.holders, s.builders = s.holders[:0], s.builders[:0]
	digest, last := 0, attestation.Digest{}
	for c, standing := range state.Claims.Weigh(unrevoked{s.roster}) {
		if c.Digest != last {
			digest, last = digest+1, c.Digest
		}
		b, ok := s.roster.ByNumber(c.Builder)
		if !ok || standing != divergence.Stands {
			continue
		}
		s.holders = append(s.holders, holder{b.OperatorNumber, digest})
		if !slices.Contains(s.builders, c.Builder) {
			s.builders = append(s.builders, c.Builder)
			counts := s.verdicts[c.Builder]
			counts[state.Verdict]++
			s.verdicts[c.Builder] = counts
		}
	}
	slices.SortFunc(s.holders, func(a, b holder) int {
		return cmp.Or(cmp.Compare(a.operator, b.operator), cmp.Compare(a.digest, b.digest))
	})
	s.holders = slices.Compact(s.holders)
	s.compare()
}

// unrevoked are the operators, of any tier.
type unrevoked struct{ *enrolment.Roster }

// Counts implements [divergence.Operators].
func (u unrevoked) Counts(builder uint32, index uint64) (operator uint32, counts bool) {
	b, ok := u.ByNumber(builder)
	return b.OperatorNumber, ok && index < b.RevokedFrom
}

// compare compares the positions of all pairs of operators.
func (s *sums) compare() {
	s.positions = s.positions[:0]
	for rest := s.holders; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].operator == rest[0].operator {
			n++
		}
		s.positions = append(s.positions, rest[:n])
		rest = rest[n:]
	}
	for i, a := range s.positions {
		for _, b := range s.positions[i+1:] {
			key := pair{a[0].operator, b[0].operator}
			sum, ok := s.pairs[key]
			if !ok {
				sum = &store.Agreement{A: key.a, B: key.b}
				s.pairs[key] = sum
			}
			sum.Common++
			if slices.EqualFunc(a, b, func(x, y holder) bool { return x.digest == y.digest }) {
				sum.Agree++
			}
		}
	}
}

func (s *sums) agreement() []store.Agreement {
	all := make([]store.Agreement, 0, len(s.pairs))
	for _, a := range s.pairs {
		all = append(all, *a)
	}
	return all
}
