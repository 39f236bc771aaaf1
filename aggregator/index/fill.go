package index

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
)

// errUnfillable says that what an earlier version of the program left cannot be
// completed.
var errUnfillable = errors.New("the tables of an earlier version cannot be completed")

// fill completes tables of an earlier version of the program, which held the
// verdict on each output but nothing else that is judged. What is filled in is
// what this version would have written, also where the earlier one was stopped in
// the middle of a batch.
func fill(ctx context.Context, config Config, tables *store.Tables, l Ledger) error {
	if err := fillPackages(ctx, config, tables); err != nil {
		return err
	}
	unfilled, err := tables.Unfilled(ctx)
	if err != nil || !unfilled {
		return err
	}
	watermark, err := tables.Watermark(ctx)
	if err != nil {
		return err
	}
	log := config.Logger.With("outputs", watermark.Outputs)
	begin := time.Now()
	if watermark.Outputs > 0 {
		log.InfoContext(ctx, "the index was written by an earlier version: filling in what is judged of each output")
	}
	f, err := newFiller(ctx, tables, l, watermark.Size)
	if err != nil {
		return err
	}
	if err := tables.Fill(ctx, f.states(ctx)); err != nil {
		return err
	}
	if watermark.Outputs > 0 {
		log.InfoContext(ctx, "filled in what is judged of each output", "took", time.Since(begin))
	}
	return nil
}

// fillPackages completes tables of a version that did not tell of which packages outputs are.
func fillPackages(ctx context.Context, config Config, tables *store.Tables) error {
	unfilled, err := tables.UnfilledPackages(ctx)
	if err != nil || !unfilled {
		return err
	}
	watermark, err := tables.Watermark(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := tables.FillPackages(ctx); err != nil {
		return err
	}
	if watermark.Outputs > 0 {
		config.Logger.InfoContext(ctx, "told of which packages the outputs of an index of an earlier version are",
			"outputs", watermark.Outputs, "took", time.Since(begin))
	}
	return nil
}

// A filler knows what the rows of an earlier version lack.
type filler struct {
	tables *store.Tables
	size   uint64 // entries before the watermark
	// roster is that of all entries that the tables have, and next that after the
	// entry at the watermark too, if it may have changed what earlier claims count
	// for: then some states may have been judged by it already.
	roster, next *enrolment.Roster
	last         []lastChange              // before the watermark, by output
	ahead        map[uint32][]store.Change // those of a batch that was not finished
}

// A lastChange is how an output got its verdict.
type lastChange struct {
	since    uint64
	previous divergence.Verdict
	changed  bool
}

func newFiller(ctx context.Context, tables *store.Tables, l Ledger, size uint64) (f *filler, err error) {
	f = &filler{tables: tables, size: size, ahead: map[uint32][]store.Change{}}
	if f.roster, err = rosterBefore(ctx, tables, math.MaxUint64); err != nil {
		return nil, err
	}
	if f.next, err = rosterBefore(ctx, tables, math.MaxUint64); err != nil {
		return nil, err
	}
	for entry, err := range l.Entries(ctx, size, min(size+1, l.Size())) {
		if err != nil {
			return nil, err
		}
		if entry.Kind == ledger.Enrolment || entry.Kind == ledger.Revocation {
			// One that cannot be applied changes nothing.
			_, _, _ = f.next.Apply(size, entry.Kind, entry.Body)
		}
	}
	for c, err := range tables.AllChanges(ctx) {
		if err != nil {
			return nil, fmt.Errorf("reading the history of verdicts: %w", err)
		}
		f.note(c)
	}
	return f, nil
}

func (f *filler) note(c store.Change) {
	if c.Index >= f.size {
		f.ahead[c.Output] = append(f.ahead[c.Output], c)
		return
	}
	for uint32(len(f.last)) <= c.Output {
		f.last = append(f.last, lastChange{})
	}
	if known := &f.last[c.Output]; !known.changed || known.since < c.Index {
		*known = lastChange{c.Index, c.Old, true}
	}
}

// states yields the states, completed.
func (f *filler) states(ctx context.Context) iter.Seq2[*store.State, error] {
	return func(yield func(*store.State, error) bool) {
		for s, err := range f.tables.OldStates(ctx) {
			if err == nil {
				err = f.complete(s)
			}
			if errors.Is(err, store.ErrState) {
				err = fmt.Errorf("%w: %w", errUnfillable, err)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

func (f *filler) complete(s *store.State) error {
	judged := divergence.Judge(&s.Claims, f.roster)
	if judged.Verdict != s.Verdict {
		judged = divergence.Judge(&s.Claims, f.next)
	}
	if judged.Verdict != s.Verdict {
		return fmt.Errorf("%w: the verdict on output %d is %s, its claims come to %s", errUnfillable, s.Output, s.Verdict, judged.Verdict)
	}
	s.Judgement = judged
	if s.Output < uint32(len(f.last)) {
		s.Since, s.Previous = f.last[s.Output].since, f.last[s.Output].previous
	}
	latest := f.size
	for _, c := range f.ahead[s.Output] {
		if c.Index < s.Version && c.Index >= latest { // the state has it
			latest, s.Since, s.Previous = c.Index, c.Index, c.Old
		}
	}
	return nil
}
