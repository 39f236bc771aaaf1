package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Predecessors returns, for each of some outputs, the outputs in whose places it came: those
// that a package set's revision had under the same attribute, system and output name until
// the revision since which the newest one has it.
func (t *Tables) Predecessors(ctx context.Context, outputs []uint32) (map[uint32][]uint32, error) {
	before := map[uint32][]uint32{}
	if len(outputs) == 0 {
		return before, nil
	}
	const now = `SELECT output, set, attribute, system, name, since FROM set_members FINAL
		WHERE set IN (SELECT name FROM sets) AND output IN {outputs:Array(UInt32)} AND until = {newest:UInt64} AND attribute != ''`
	type pair struct{ output, before uint32 }
	for p, err := range scan(ctx, t.conn, func(rows driver.Rows) (p pair, err error) {
		return p, rows.Scan(&p.output, &p.before)
	}, `SELECT DISTINCT now.output, was.output FROM (`+now+`) AS now
		INNER JOIN (SELECT output, set, attribute, system, name, until FROM set_members FINAL
			WHERE (set, until) IN (SELECT set, since FROM (`+now+`))) AS was
		ON now.set = was.set AND now.attribute = was.attribute AND now.system = was.system AND now.name = was.name AND now.since = was.until
		WHERE now.output != was.output ORDER BY now.output, was.output`,
		clickhouse.Named("outputs", outputs), clickhouse.Named("newest", uint64(Newest))) {
		if err != nil {
			return nil, fmt.Errorf("reading earlier revisions of package sets: %w", err)
		}
		before[p.output] = append(before[p.output], p.before)
	}
	return before, nil
}
