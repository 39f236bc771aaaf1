package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet/divergence"
)

// OrderedStates yields the states of all outputs, each once, by ID. All of them
// are as they were when the first came.
func (t *Tables) OrderedStates(ctx context.Context) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState, `SELECT `+stateFields+` FROM states FINAL ORDER BY hash, rest`)
}

// ChangesBefore returns the history of some outputs up to a ledger index,
// exclusively: each oldest first.
func (t *Tables) ChangesBefore(ctx context.Context, outputs []uint32, index uint64) (map[uint32][]Change, error) {
	changes := make(map[uint32][]Change, len(outputs))
	for c, err := range scan(ctx, t.conn, func(rows driver.Rows) (c Change, err error) {
		var from, to uint8
		err = rows.Scan(&c.Output, &c.Index, &from, &to)
		c.Old, c.New = divergence.Verdict(from), divergence.Verdict(to)
		return c, err
	}, `SELECT output, log_index, old, new FROM verdict_changes
		WHERE output IN {outputs:Array(UInt32)} AND log_index < {index:UInt64}
		ORDER BY output, log_index LIMIT 1 BY output, log_index`,
		clickhouse.Named("outputs", outputs), clickhouse.Named("index", index)) {
		if err != nil {
			return nil, fmt.Errorf("reading the history of verdicts: %w", err)
		}
		changes[c.Output] = append(changes[c.Output], c)
	}
	return changes, nil
}
