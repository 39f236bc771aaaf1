package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// newestMembers are the conditions on members of the newest revisions of package sets.
const newestMembers = `set IN (SELECT name FROM sets) AND until = {newest:UInt64}`

// Maintainers lists whom the newest revisions of package sets name as maintainers: at most
// limit behind one, by name, of those whose names contain text without regard to the case of
// ASCII letters.
func (t *Tables) Maintainers(ctx context.Context, text, behind string, limit int) ([]string, error) {
	names, err := list(ctx, t.conn, readString, `SELECT DISTINCT maintainer FROM
			(SELECT arrayJoin(maintainers) AS maintainer FROM set_members FINAL WHERE `+newestMembers+`)
		WHERE maintainer > {behind:String} AND lower(maintainer) LIKE lower({pattern:String}) ORDER BY maintainer LIMIT {limit:UInt32}`,
		clickhouse.Named("newest", uint64(Newest)), clickhouse.Named("behind", behind),
		clickhouse.Named("pattern", containing(text)), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("reading maintainers: %w", err)
	}
	return names, nil
}

// CountMaintained counts the outputs that the newest revisions of package sets say some
// maintainers have, by the verdicts that the outputs have before a ledger index.
func (t *Tables) CountMaintained(ctx context.Context, maintainers []string, before uint64) (map[string]Counts, error) {
	counts := make(map[string]Counts, len(maintainers))
	if len(maintainers) == 0 {
		return counts, nil
	}
	type row struct {
		maintainer string
		counts     Counts
	}
	const theirs = `FROM set_members FINAL WHERE ` + newestMembers + ` AND hasAny(maintainers, {maintainers:Array(String)})`
	for r, err := range scan(ctx, t.conn, func(rows driver.Rows) (r row, err error) {
		return r, rows.Scan(&r.maintainer, &r.counts[0], &r.counts[1], &r.counts[2], &r.counts[3])
	}, `SELECT m.maintainer, countIf(v.verdict = 0), countIf(v.verdict = 1), countIf(v.verdict = 2), countIf(v.verdict = 3)
		FROM (SELECT DISTINCT arrayJoin(maintainers) AS maintainer, output `+theirs+`) AS m
		LEFT JOIN `+verdictsOf(`SELECT output `+theirs)+` AS v ON m.output = v.output
		WHERE m.maintainer IN {maintainers:Array(String)} GROUP BY m.maintainer`,
		clickhouse.Named("newest", uint64(Newest)), clickhouse.Named("maintainers", maintainers), clickhouse.Named("before", before)) {
		if err != nil {
			return nil, fmt.Errorf("counting outputs of maintainers: %w", err)
		}
		counts[r.maintainer] = r.counts
	}
	return counts, nil
}

// SetsOfMaintainer returns the package sets whose newest revisions name a maintainer, by name.
func (t *Tables) SetsOfMaintainer(ctx context.Context, maintainer string) ([]string, error) {
	sets, err := list(ctx, t.conn, readString, `SELECT DISTINCT set FROM set_members FINAL
		WHERE `+newestMembers+` AND has(maintainers, {maintainer:String}) ORDER BY set`,
		clickhouse.Named("newest", uint64(Newest)), clickhouse.Named("maintainer", maintainer))
	if err != nil {
		return nil, fmt.Errorf("reading the package sets of maintainer %.100q: %w", maintainer, err)
	}
	return sets, nil
}

// Unconfirmed returns what the newest revisions of package sets say of those of a maintainer's
// outputs that fewer than two operators built, by the verdicts before a ledger index: at most
// limit, those that a set has for the longest time first.
func (t *Tables) Unconfirmed(ctx context.Context, maintainer string, before uint64, limit int) ([]Member, error) {
	const theirs = `FROM set_members FINAL WHERE ` + newestMembers + ` AND has(maintainers, {maintainer:String})`
	members, err := list(ctx, t.conn, readMember, `SELECT `+memberFields+` `+theirs+`
			AND output NOT IN (SELECT output FROM `+verdictsOf(`SELECT output `+theirs)+` WHERE verdict >= {compared:UInt8})
		ORDER BY since, set, attribute, system, output LIMIT {limit:UInt32}`,
		clickhouse.Named("newest", uint64(Newest)), clickhouse.Named("maintainer", maintainer), clickhouse.Named("before", before),
		clickhouse.Named("compared", uint8(divergence.Reproduced)), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("reading what waits of maintainer %.100q: %w", maintainer, err)
	}
	return members, nil
}
