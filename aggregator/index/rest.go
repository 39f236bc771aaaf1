package index

import (
	"context"
	"time"
)

// AtRest calls f while nothing is written: what f begins to read then is of one
// state, complete up to the watermark. It waits for the batch that is written now.
func (x *Index) AtRest(ctx context.Context, f func() error) error {
	if err := x.rest(ctx); err != nil {
		return err
	}
	defer x.mu.Unlock()
	return f()
}

// rest locks mu between two batches.
func (x *Index) rest(ctx context.Context) error {
	x.waiting.Add(1)
	defer x.waiting.Add(-1)
	for !x.mu.TryLock() {
		if !sleep(ctx) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// giveWay lets those who wait for the index to rest come before the next batch.
func (x *Index) giveWay(ctx context.Context) {
	for x.waiting.Load() > 0 && sleep(ctx) {
	}
}

// sleep is false when ctx has ended.
func sleep(ctx context.Context) bool {
	select {
	case <-time.After(time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}
