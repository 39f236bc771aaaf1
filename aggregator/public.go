package aggregator

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
)

// rosterDocument returns the roster and the checkpoint of exactly the entries that it
// is the fold of, so that it can be checked.
func (a *Aggregator) rosterDocument(ctx context.Context) (*api.Roster, error) {
	ctx, cancel := context.WithTimeout(ctx, receiptPatience)
	defer cancel()
	for {
		builders, size := a.ingest.Roster()
		checkpoint, err := a.log.WaitCheckpoint(ctx, size)
		if err != nil {
			return nil, err
		}
		// The checkpoint can be of more entries than were there at first. If they
		// changed nothing, the roster is that of the checkpoint.
		if since, _ := a.ingest.Roster(); reflect.DeepEqual(builders, since) {
			for i := range builders {
				a.markErased(&builders[i])
			}
			return &api.Roster{Checkpoint: string(checkpoint.Text), Size: checkpoint.Size, Builders: builders}, nil
		}
	}
}

// setFilter finds the filter of a set's newest revision.
func (a *Aggregator) setFilter(ctx context.Context, source dashboard.Source, name string) (*web.Filter, error) {
	newest, err := a.newestSets(ctx)
	if err != nil {
		return nil, err
	}
	revision, ok := newest[name]
	if !ok {
		return nil, dashboard.ErrNotFound
	}
	set, index := &revision.Entry, revision.index
	if a.erased(set.SHA256) { // it was never there, and an earlier one is the newest
		if set, index, err = a.indexedSet(ctx, source, name); err != nil {
			return nil, err
		}
	}
	return a.filterOf(set, index), nil
}

// indexedSet finds a set's newest revision as the index has it.
func (v *view) indexedSet(ctx context.Context, source dashboard.Source, name string) (*pkgset.Entry, uint64, error) {
	sets, err := source.Sets(ctx)
	if err != nil {
		return nil, 0, err
	}
	at := slices.IndexFunc(sets, func(s dashboard.Set) bool { return s.Name == name })
	if at < 0 {
		return nil, 0, dashboard.ErrNotFound
	}
	index := sets[at].Index
	entry, err := v.ledger.Entry(ctx, index)
	if err != nil {
		return nil, 0, err
	}
	set, ok := reading.As[*reading.Set](index, entry)
	if !ok {
		return nil, 0, fmt.Errorf("ledger index %d publishes no package set", index)
	}
	return set.Entry, index, nil
}
