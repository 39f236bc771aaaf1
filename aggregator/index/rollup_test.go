package index_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
)

// rolledUp reads the newest roll-up.
func rolledUp(ctx context.Context, tables *store.Tables, builders int) (*store.RollUp, error) {
	r := &store.RollUp{Verdicts: map[uint32]store.Counts{}}
	var err error
	if r.Version, err = tables.RolledUp(ctx); err != nil {
		return nil, err
	}
	if r.Agreement, err = tables.Agreement(ctx, r.Version); err != nil {
		return nil, err
	}
	if r.OddStreams, err = tables.OddStreams(ctx, r.Version); err != nil {
		return nil, err
	}
	if r.Copying, err = tables.Copying(ctx, r.Version); err != nil {
		return nil, err
	}
	for b := range uint32(builders) {
		if r.Verdicts[b], err = tables.BuilderVerdicts(ctx, r.Version, b); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// TestRollUpAsOf rolls up while the index goes on: what comes of it is what the
// entries before its version make, and nothing of later ones.
func TestRollUpAsOf(t *testing.T) {
	const builders = 7
	const from = 82 // from here on, some operators agree or do not in every state of this world
	w := newWorld(t)
	w.random(rand.New(rand.NewPCG(3, 1)), 150)
	ctx := t.Context()

	s := openStore(t)
	var x *index.Index
	rolled := make(chan error, 1)
	x = newIndex(t, index.Config{MaxEntries: 1, Progress: func(indexed, _ uint64) {
		if indexed == from {
			go func() { rolled <- x.RollUp(ctx) }()
		}
	}}, s, w.log)
	if err := x.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-rolled; err != nil {
		t.Fatal(err)
	}
	got, err := rolledUp(ctx, s.Current(), builders)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version < from || got.Version >= w.log.Size() {
		t.Fatalf("rolled up as of %d, want it while entries %d to %d were indexed", got.Version, from, w.log.Size())
	}
	if len(got.Agreement) == 0 {
		t.Error("nothing to compare")
	}

	before := &memory{entries: w.log.entries[:got.Version], attachments: w.log.attachments}
	again := openStore(t)
	y := newIndex(t, index.Config{}, again, before)
	if err := y.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	if err := y.RollUp(ctx); err != nil {
		t.Fatal(err)
	}
	want, err := rolledUp(ctx, again.Current(), builders)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("roll-up (-at rest +meanwhile):\n%s", diff)
	}
	if err := y.Reindex(ctx); err != nil {
		t.Fatal(err)
	}
	anew, err := rolledUp(ctx, again.Current(), builders)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, anew, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("roll-up after reindexing (-before +after):\n%s", diff)
	}
}
