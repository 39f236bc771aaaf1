package store

import (
	"context"
	"fmt"
	"slices"

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

// Revisions returns the newest revisions of a package set before a ledger index, at most
// limit, newest first.
func (t *Tables) Revisions(ctx context.Context, set string, before uint64, limit int) ([]Set, error) {
	revisions, err := list(ctx, t.conn, readSet, `SELECT name, log_index, revision, ecosystem, members, received_at FROM sets
		WHERE name = {set:String} AND log_index < {before:UInt64} ORDER BY log_index DESC LIMIT 1 BY log_index LIMIT {limit:UInt32}`,
		clickhouse.Named("set", set), clickhouse.Named("before", before), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("reading the revisions of set %s: %w", set, err)
	}
	return revisions, nil
}

// RevisionOf returns the newest ledger entry before an index that published a revision of a
// package set under a name; false if there is none.
func (t *Tables) RevisionOf(ctx context.Context, set, revision string, before uint64) (index uint64, found bool, err error) {
	var n uint64
	err = t.conn.QueryRow(ctx, `SELECT max(log_index), count() FROM sets WHERE name = {set:String} AND revision = {revision:String} AND log_index < {before:UInt64}`,
		clickhouse.Named("set", set), clickhouse.Named("revision", revision), clickhouse.Named("before", before)).Scan(&index, &n)
	if err != nil {
		return 0, false, fmt.Errorf("reading the revisions of set %s: %w", set, err)
	}
	return index, n > 0, nil
}

// verdictsOf is the verdicts, before a ledger index, of the outputs of a subquery, which are
// there with 1 added too. An output that was never judged is not in it: in a join it gets 0,
// which is unbuilt.
func verdictsOf(outputs string) string {
	return `(SELECT output, output + 1 AS one_more, argMax(new, log_index) AS verdict FROM verdict_changes
		WHERE output IN (` + outputs + `) AND log_index < {before:UInt64} GROUP BY output)`
}

// CountMembers counts the members of revisions of a package set, which are given by the
// ledger indices that published them, by the verdicts that they have before an index.
func (t *Tables) CountMembers(ctx context.Context, set string, revisions []uint64, before uint64) (map[uint64]Counts, error) {
	counts := make(map[uint64]Counts, len(revisions))
	if len(revisions) == 0 {
		return counts, nil
	}
	type group struct {
		since, until, n uint64
		verdict         uint8
	}
	for g, err := range scan(ctx, t.conn, func(rows driver.Rows) (g group, err error) {
		return g, rows.Scan(&g.since, &g.until, &g.verdict, &g.n)
	}, `SELECT m.since AS since, m.until AS until, v.verdict AS verdict, count() AS n
		FROM (SELECT output, since, until FROM set_members FINAL WHERE set = {set:String} AND until > {oldest:UInt64}) AS m
		LEFT JOIN `+verdictsOf(`SELECT output FROM set_members WHERE set = {set:String} AND until > {oldest:UInt64}`)+` AS v ON m.output = v.output
		GROUP BY since, until, verdict`,
		clickhouse.Named("set", set), clickhouse.Named("oldest", slices.Min(revisions)), clickhouse.Named("before", before)) {
		if err != nil {
			return nil, fmt.Errorf("counting the members of set %s: %w", set, err)
		}
		for _, revision := range revisions {
			if g.since <= revision && revision < g.until && int(g.verdict) < len(Counts{}) {
				c := counts[revision]
				c[g.verdict] += g.n
				counts[revision] = c
			}
		}
	}
	return counts, nil
}
