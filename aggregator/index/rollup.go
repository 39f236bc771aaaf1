package index

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
)

// RollUp computes over all outputs what is too much for a page: how operators
// agree pairwise, which one seems to copy from which, the verdicts of each builder's
// outputs, and which chains of statements have forks or gaps. What it says is a
// pure function of the entries before the watermark that it carries: readers show
// it as of there. Then it compacts the tables. It does nothing if nothing was
// indexed since the last time, and keeps the index from going on only until it has
// begun to read.
func (x *Index) RollUp(ctx context.Context) error {
	tables, release := x.store.Acquire()
	defer release()
	watermark, err := x.rollUp(ctx, tables, x.AtRest)
	if err != nil || watermark == nil {
		return err
	}
	ratio := float64(compactBusy)
	if watermark.Size == x.ledger.Size() {
		ratio = compactIdle
	}
	return tables.Compact(ctx, watermark.Outputs, ratio)
}

// rollUp returns the watermark at which it rolled up, nil if there was nothing to
// do.
func (x *Index) rollUp(
	ctx context.Context, tables *store.Tables, atRest func(context.Context, func() error) error,
) (*store.Watermark, error) {
	stop := func() {}
	defer func() { stop() }()
	var watermark store.Watermark
	var done uint64 // watermark of the last roll-up
	var next func() (*store.State, error, bool)
	var state *store.State
	var more bool
	err := atRest(ctx, func() (err error) {
		if watermark, err = tables.Watermark(ctx); err != nil {
			return err
		}
		if done, err = tables.RolledUp(ctx); err != nil || done == watermark.Size {
			return err
		}
		next, stop = iter.Pull2(tables.AllStates(ctx))
		state, err, more = next()
		return err
	})
	if err != nil || next == nil {
		return nil, err
	}
	roster, err := rosterBefore(ctx, tables, watermark.Size)
	if err != nil {
		return nil, fmt.Errorf("rolling up: %w", err)
	}
	sums := &sums{roster: roster, verdicts: map[uint32]store.Counts{}, pairs: map[pair]*comparison{}}
	for more {
		sums.add(state)
		if state, err, more = next(); err != nil {
			return nil, fmt.Errorf("rolling up: %w", err)
		}
	}
	odd, err := tables.FindOddStreams(ctx, watermark.Size)
	if err != nil {
		return nil, fmt.Errorf("rolling up: %w", err)
	}
	oddBefore, err := tables.OddStreams(ctx, done)
	if err != nil {
		return nil, fmt.Errorf("rolling up: %w", err)
	}
	x.tellForks(ctx, roster, oddBefore, odd)
	return &watermark, tables.WriteRollUp(ctx, &store.RollUp{
		Version: watermark.Size, Agreement: sums.agreement(), Verdicts: sums.verdicts, OddStreams: odd, Copying: sums.copying(),
	})
}

// rosterBefore returns the roster as the entries before a ledger index make it.
func rosterBefore(ctx context.Context, tables *store.Tables, size uint64) (*enrolment.Roster, error) {
	roster := enrolment.NewRoster()
	entries, err := tables.Roster(ctx, size)
	for _, e := range entries {
		if err == nil {
			_, _, err = roster.Apply(e.Index, ledger.Kind(e.Kind), e.Body)
		}
	}
	return roster, err
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
	pairs    map[pair]*comparison

	// Of the output at hand; kept to save allocations.
	builders  []uint32
	holders   []holder
	positions []position
}

type pair struct{ a, b uint32 } // numbers of operators, a < b

// A comparison of two operators over the outputs that both claim.
type comparison struct {
	store.Agreement
	echoes
}

// A holder is an operator that holds the digest of a number within the output.
type holder struct {
	operator uint32
	digest   int
	index    uint64 // of the first entry that says so
	counted  bool   // in its operator's position, as the verdict sees it
}

// A position is an operator's holders, by digest.
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
		s.holders = append(s.holders, holder{b.OperatorNumber, digest, c.Index, b.Tier == enrolment.Counted})
		if !slices.Contains(s.builders, c.Builder) {
			s.builders = append(s.builders, c.Builder)
			counts := s.verdicts[c.Builder]
			counts[state.Verdict]++
			s.verdicts[c.Builder] = counts
		}
	}
	s.compare()
	if state.Verdict == divergence.Diverged {
		s.echo(state.Output)
	}
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
	slices.SortFunc(s.holders, func(a, b holder) int {
		return cmp.Or(cmp.Compare(a.operator, b.operator), cmp.Compare(a.digest, b.digest), cmp.Compare(a.index, b.index))
	})
	s.holders = merged(s.holders)
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
				sum = &comparison{Agreement: store.Agreement{A: key.a, B: key.b}}
				s.pairs[key] = sum
			}
			sum.Common++
			if slices.EqualFunc(a, b, func(x, y holder) bool { return x.digest == y.digest }) {
				sum.Agree++
			}
		}
	}
}

// merged joins the claims of an operator's builders: the first index stays, and one
// builder that counts is enough.
func merged(holders []holder) []holder {
	all := holders[:0]
	for _, h := range holders {
		if last := len(all) - 1; last >= 0 && all[last].operator == h.operator && all[last].digest == h.digest {
			all[last].counted = all[last].counted || h.counted
			continue
		}
		all = append(all, h)
	}
	return all
}

func (s *sums) agreement() []store.Agreement {
	all := make([]store.Agreement, 0, len(s.pairs))
	for _, c := range s.pairs {
		all = append(all, c.Agreement)
	}
	return all
}
