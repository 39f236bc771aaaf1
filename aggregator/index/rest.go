package index

import (
	"context"
	"time"
)

// AtRest calls f while nothing is written: what f begins to read then is of one
// state, complete up to the watermark. It waits for the batch that is written now.
func (x *Index) AtRest(ctx context.Context, f func() error) error {
	for !x.mu.TryLock() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer x.mu.Unlock()
	return f()
}
