package aggregator

import (
	"context"
	"iter"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/api"
)

// An exporter reads all verdicts and their history for those who computed them by
// themselves.
type exporter struct {
	store *store.Store
	index *index.Index
}

const (
	// exportSlice is how many outputs are looked up at a time.
	exportSlice = 8192
	// exportPatience bounds the wait for the batch that is being indexed.
	exportPatience = 20 * time.Second
)

// An exported index is one at one watermark.
type exported struct {
	tables *store.Tables
	size   uint64
	next   func() (*store.Judged, error, bool)
	first  *store.Judged // nil: there are none
	close  func()
}

// Export implements [web.Exporter].
func (e *exporter) Export(ctx context.Context, size *uint64) (web.Export, error) {
	s := &exported{close: func() {}}
	patience, cancel := context.WithTimeout(ctx, exportPatience)
	defer cancel()
	err := e.index.AtRest(patience, func() error {
		tables, release := e.store.Acquire()
		s.tables, s.close = tables, release
		watermark, err := tables.Watermark(ctx)
		if err != nil {
			return err
		}
		s.size = watermark.Size
		if size != nil && *size != s.size {
			return web.ErrOtherSize
		}
		next, stop := iter.Pull2(tables.OrderedVerdicts(ctx))
		s.next, s.close = next, func() { stop(); release() }
		s.first, err, _ = next()
		return err
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// slices yields what is judged of all outputs, some at a time.
func (s *exported) slices() iter.Seq2[[]*store.Judged, error] {
	return func(yield func([]*store.Judged, error) bool) {
		var states []*store.Judged
		for state, ok := s.first, s.first != nil; ok; {
			if states = append(states, state); len(states) == exportSlice {
				if !yield(states, nil) {
					return
				}
				states = states[:0]
			}
			var err error
			if state, err, ok = s.next(); err != nil {
				yield(nil, err)
				return
			}
		}
		if len(states) > 0 {
			yield(states, nil)
		}
	}
}

// Size implements [web.Export].
func (s *exported) Size() uint64 { return s.size }

// Close implements [web.Export].
func (s *exported) Close() { s.close() }

// Verdicts implements [web.Export].
func (s *exported) Verdicts(ctx context.Context) iter.Seq2[api.ExportedVerdict, error] {
	return named(ctx, s, func(states []*store.Judged, names map[uint32]store.OutputName, yield func(api.ExportedVerdict) bool) error {
		for _, state := range states {
			name := names[state.Output]
			if !yield(api.NewExportedVerdict(name.Ecosystem, name.Key, state.Judgement)) {
				return nil
			}
		}
		return nil
	})
}

// Changes implements [web.Export].
func (s *exported) Changes(ctx context.Context) iter.Seq2[api.ExportedChange, error] {
	return named(ctx, s, func(states []*store.Judged, names map[uint32]store.OutputName, yield func(api.ExportedChange) bool) error {
		changes, err := s.tables.ChangesBefore(ctx, numbers(states), s.size)
		if err != nil {
			return err
		}
		for _, state := range states {
			name := names[state.Output]
			for _, c := range changes[state.Output] {
				if !yield(api.ExportedChange{
					Ecosystem: name.Ecosystem, Output: name.Key, Index: c.Index, From: api.NewVerdict(c.Old), To: api.NewVerdict(c.New),
				}) {
					return nil
				}
			}
		}
		return nil
	})
}

// named yields what lines makes of all states, some at a time, with the names of
// their outputs.
func named[T any](ctx context.Context, s *exported, lines func([]*store.Judged, map[uint32]store.OutputName, func(T) bool) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for states, err := range s.slices() {
			var names map[uint32]store.OutputName
			if err == nil {
				names, err = s.tables.Names(ctx, numbers(states))
			}
			more := true
			if err == nil {
				err = lines(states, names, func(line T) bool { more = yield(line, nil); return more })
			}
			if err != nil {
				yield(none, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

func numbers(states []*store.Judged) []uint32 {
	list := make([]uint32, len(states))
	for i, s := range states {
		list[i] = s.Output
	}
	return list
}
