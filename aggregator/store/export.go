package store

import (
	"context"
	"iter"
)

// OrderedVerdicts yields what is judged of all outputs, each once, by ID. All of
// it is as it was when the first came.
func (t *Tables) OrderedVerdicts(ctx context.Context) iter.Seq2[*Judged, error] {
	return scan(ctx, t.conn, readJudged, `SELECT `+judgedFields+` FROM verdicts FINAL ORDER BY hash, rest`)
}
