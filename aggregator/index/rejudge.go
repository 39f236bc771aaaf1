package index

import (
	"context"

	"repronet.dev/aggregator/store"
	"repronet.dev/divergence"
)

// slice is how many outputs are held in memory when all of a builder's, or of a
// set's, are gone through.
const slice = 32_768

// rejudge applies an entry about an enrolled builder and judges all outputs
// that it ever claimed again. It goes through them twice, because counts may
// only be written as a whole, and must be before the states (see package store).
func (f *fold) rejudge(ctx context.Context, it *item) error {
	b := newBatch(it.index + 1)
	number, judge, err := f.roster.Apply(it.index, it.kind, it.body)
	if err != nil {
		it.ignored = err.Error()
	}
	if judge {
		if err := f.recount(ctx, b, it, number); err != nil {
			return err
		}
		if err := f.restate(ctx, it, number); err != nil {
			return err
		}
	}
	f.entry(b, it)
	f.finish(ctx, b, it.receivedAt)
	return f.tables.Write(ctx, &b.Batch)
}

// recount writes the changes, the divergences and the counts.
func (f *fold) recount(ctx context.Context, b *batch, it *item, builder uint32) error {
	for s, err := range f.tables.StatesOfBuilder(ctx, builder) {
		if err != nil {
			return err
		}
		o := &output{State: *s, was: s.Verdict}
		f.judge(b, o, it.index, it.receivedAt)
		f.showDivergence(b, o)
		if len(b.Changes)+len(b.Divergences) >= slice {
			if err := f.tables.Write(ctx, &store.Batch{Changes: b.Changes, Divergences: b.Divergences}); err != nil {
				return err
			}
			b.Changes, b.Divergences = b.Changes[:0], b.Divergences[:0]
		}
	}
	b.settle()
	if err := f.tables.Write(ctx, &b.Batch); err != nil {
		return err
	}
	*b = *newBatch(b.end)
	return nil
}

// restate writes the states whose judgement changed. Those that have it already,
// from a time that was interrupted, change neither here nor in recount.
func (f *fold) restate(ctx context.Context, it *item, builder uint32) error {
	var changed store.Batch
	for s, err := range f.tables.StatesOfBuilder(ctx, builder) {
		if err != nil {
			return err
		}
		judged := divergence.Judge(&s.Claims, f.roster)
		if judged == s.Judgement {
			continue
		}
		take(&s.Judged, judged, it.index)
		s.Version = it.index + 1
		changed.States = append(changed.States, *s)
		if len(changed.States) >= slice {
			if err := f.tables.Write(ctx, &changed); err != nil {
				return err
			}
			changed.States = changed.States[:0]
		}
	}
	return f.tables.Write(ctx, &changed)
}
