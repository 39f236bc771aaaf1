package index

import "context"

// AtRest calls f while nothing is written: what f begins to read then is of one
// state, complete up to the watermark. It waits for the batch that is written now, and
// comes before the next.
func (x *Index) AtRest(ctx context.Context, f func() error) error {
	if err := x.writing.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer x.writing.Release(1)
	return f()
}
