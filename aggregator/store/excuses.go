package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/divergence"
)

// between is the places of which {to_set} at {to} has another output than {from_set} at {from},
// or which the latter has not, with the verdicts before {before}. Places are those of [places].
func between() string {
	const is, was = `set = {to_set:String} AND since <= {to:UInt64} AND until > {to:UInt64}`, `set = {from_set:String} AND since <= {from:UInt64} AND until > {from:UInt64}`
	judged := verdictsOf(`SELECT output FROM set_members WHERE ` + is + ` OR ` + was)
	return `(SELECT toUInt8(p.earlier != 0) AS kind, toUInt32(p.after - 1) AS output, toUInt32(if(p.earlier = 0, 0, p.earlier - 1)) AS before,
			v.verdict AS new, w.verdict AS old, p.attribute AS attribute, p.system AS system, p.name AS name, p.version AS version, p.members AS members
		FROM (SELECT attribute, system, name, if(attribute = '', output, 0) AS alone,
				minIf(output + 1, ` + is + `) AS after, minIf(output + 1, ` + was + `) AS earlier,
				toUInt64(if(earlier = 0, uniqExact(output), 1)) AS members, maxIf(package_version, ` + is + `) AS version
			FROM (SELECT output, set, since, until, attribute, system, name, package_version FROM set_members FINAL WHERE set IN ({to_set:String}, {from_set:String})) WHERE ` + is + ` OR ` + was + `
			GROUP BY attribute, system, name, alone HAVING after != 0 AND after != earlier) AS p
		LEFT JOIN ` + judged + ` AS v ON p.after = v.one_more
		LEFT JOIN ` + judged + ` AS w ON p.earlier = w.one_more)`
}

// A SetEntry is a revision of a package set, by the ledger index that published it.
type SetEntry struct {
	Set   string
	Index uint64
}

func (to SetEntry) after(from SetEntry, before uint64) []any {
	return []any{
		clickhouse.Named("to_set", to.Set), clickhouse.Named("to", to.Index), clickhouse.Named("from_set", from.Set), clickhouse.Named("from", from.Index),
		clickhouse.Named("before", before), clickhouse.Named("reproduced", uint8(divergence.Reproduced)), clickhouse.Named("diverged", uint8(divergence.Diverged)),
	}
}

// Between counts the outputs of a revision that are new in it or came in the place of others of
// another revision, by kind and by the verdicts that they have before a ledger index.
func (t *Tables) Between(ctx context.Context, from, to SetEntry, before uint64) ([]StepCount, error) {
	counts, err := list(ctx, t.conn, readStepCount, `SELECT {to:UInt64} AS revision, kind, old, new, sum(members) AS n FROM `+between()+` GROUP BY kind, old, new ORDER BY kind, old, new`, to.after(from, before)...)
	if err != nil {
		return nil, fmt.Errorf("comparing %s with %s: %w", to.Set, from.Set, err)
	}
	return counts, nil
}

// Worse lists those of them that are not reproduced, and in whose places nothing was, or what was
// reproduced: first what regressed, then what else diverged, then the others, at most limit of all.
func (t *Tables) Worse(ctx context.Context, from, to SetEntry, before uint64, limit int) ([]Step, error) {
	steps, err := list(ctx, t.conn, readStep, `SELECT kind, output, before, old, new, attribute, system, version FROM `+between()+`
		WHERE new != {reproduced:UInt8} AND (kind = 0 OR old = {reproduced:UInt8})
		ORDER BY new != {diverged:UInt8}, kind = 0, attribute, system, name, output LIMIT {limit:UInt32}`,
		append(to.after(from, before), clickhouse.Named("limit", limit))...)
	if err != nil {
		return nil, fmt.Errorf("comparing %s with %s: %w", to.Set, from.Set, err)
	}
	return steps, nil
}
