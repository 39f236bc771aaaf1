package store

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// SetEntries returns the ledger indices, below a given one, of the entries that published
// a package set, in order.
func (t *Tables) SetEntries(ctx context.Context, before uint64) ([]uint64, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (index uint64, err error) {
		return index, rows.Scan(&index)
	}, `SELECT DISTINCT log_index FROM sets WHERE log_index < {before:UInt64} ORDER BY log_index`,
		clickhouse.Named("before", before))
}
