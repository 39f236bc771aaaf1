package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// A SetTurn is a change of the verdict of an output that was a package set's member at the
// time.
type SetTurn struct {
	Change
	Attribute, System, Version string
	// Before is the output that was in the member's place in the revision before the one
	// with which it came; nil if there was none.
	Before *uint32
}

// SetTurns returns the newest changes of verdicts that matter to a package set, at most
// limit, of those before a ledger index and of revisions that were not replaced before the
// one at index oldest: changes to diverged and back, and changes to reproduced where an output of
// the set that ever diverged was in the place before. The newest are first, those of one
// entry by output.
func (t *Tables) SetTurns(ctx context.Context, set string, oldest, before uint64, limit int) ([]SetTurn, error) {
	const (
		members = `(SELECT output, since, until, attribute, system, name, package_version FROM set_members FINAL
			WHERE set = {set:String} AND until > {oldest:UInt64} AND since < {before:UInt64})`
		earlier = `(SELECT output, until, attribute, system, name FROM set_members FINAL
			WHERE set = {set:String} AND attribute != '' AND until IN (
				SELECT since FROM set_members WHERE set = {set:String} AND until > {oldest:UInt64}))`
		places = `(SELECT n.output AS output, n.since AS since, min(w.output) AS earlier, toUInt8(1) AS found
			FROM ` + members + ` AS n INNER JOIN ` + earlier + ` AS w
			ON n.attribute = w.attribute AND n.system = w.system AND n.name = w.name AND n.since = w.until
			WHERE n.output != w.output GROUP BY n.output, n.since)`
	)
	turns, err := list(ctx, t.conn, func(rows driver.Rows) (s SetTurn, err error) {
		var old, now, found uint8
		var earlier uint32
		err = rows.Scan(&s.Output, &s.Index, &old, &now, &s.Attribute, &s.System, &s.Version, &found, &earlier)
		s.Old, s.New = divergence.Verdict(old), divergence.Verdict(now)
		if found == 1 {
			s.Before = &earlier
		}
		return s, err
	}, `SELECT c.output AS output, c.log_index AS log_index, c.old AS old, c.new AS new,
			m.attribute AS attribute, m.system AS system, m.package_version AS version, p.found AS found, p.earlier AS earlier
		FROM (SELECT DISTINCT output, log_index, old, new FROM verdict_changes
			WHERE log_index < {before:UInt64} AND (old = {diverged:UInt8} OR new IN ({reproduced:UInt8}, {diverged:UInt8}))
			AND output IN (SELECT output FROM set_members WHERE set = {set:String} AND until > {oldest:UInt64})) AS c
		INNER JOIN `+members+` AS m ON c.output = m.output
		LEFT JOIN `+places+` AS p ON m.output = p.output AND m.since = p.since
		WHERE c.log_index >= m.since AND c.log_index < m.until AND (c.old = {diverged:UInt8} OR c.new = {diverged:UInt8} OR p.found = 1 AND p.earlier IN (
			SELECT output FROM verdict_changes WHERE new = {diverged:UInt8} AND output IN (SELECT output FROM set_members WHERE set = {set:String})))
		ORDER BY log_index DESC, output LIMIT {limit:UInt32}`,
		clickhouse.Named("set", set), clickhouse.Named("oldest", oldest), clickhouse.Named("before", before), clickhouse.Named("limit", limit),
		clickhouse.Named("reproduced", uint8(divergence.Reproduced)), clickhouse.Named("diverged", uint8(divergence.Diverged)))
	if err != nil {
		return nil, fmt.Errorf("reading changes of verdicts in set %s: %w", set, err)
	}
	return turns, nil
}
