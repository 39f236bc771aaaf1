package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// An Undecided is a member of a set's newest revision on which there are not two operators'
// claims yet.
type Undecided struct {
	Output     uint32
	Verdict    divergence.Verdict // Unbuilt or Single
	Since      uint64             // ledger index of the entry that made it so: a claim, or the set's revision
	Dependents uint64             // members that are built with it
	Attribute  string
	System     string
}

// An UndecidedFilter selects what is undecided in a set.
type UndecidedFilter struct {
	Set    string
	System string // "" for all
	// Without are builders: what one of them has claimed, or failed to build, is left out.
	Without []uint32
}

// undecided is the part that both questions share: the members, and those that are selected of them.
const undecided = `WITH
	members AS (SELECT output, attribute, system, inputs, since AS member_since FROM set_members FINAL WHERE set = {set:String} AND until = {newest:UInt64}),
	judged AS (SELECT output, argMax(verdict, version) AS verdict, argMax(since, version) AS since FROM verdicts
		WHERE output IN (SELECT output FROM members) GROUP BY output),
	selected AS (SELECT members.output AS output, attribute, system, judged.verdict AS verdict,
			if(judged.verdict = {single:UInt8}, judged.since, member_since) AS since
		FROM members LEFT JOIN judged ON members.output = judged.output
		WHERE judged.verdict <= {single:UInt8} AND (system = {system:String} OR {system:String} = '')
		AND output NOT IN (SELECT output FROM observations WHERE output IN (SELECT output FROM members) AND builder IN {without:Array(UInt32)})
		AND output NOT IN (SELECT output FROM builds WHERE build IN (SELECT build FROM failures WHERE builder IN {without:Array(UInt32)})))
	`

func (f *UndecidedFilter) parameters() []any {
	without := f.Without
	if without == nil {
		without = []uint32{}
	}
	return []any{
		clickhouse.Named("set", f.Set), clickhouse.Named("system", f.System), clickhouse.Named("without", without),
		clickhouse.Named("newest", uint64(Newest)), clickhouse.Named("single", uint8(divergence.Single)),
	}
}

// CountUndecided counts what is undecided in a set, by verdict.
func (t *Tables) CountUndecided(ctx context.Context, filter UndecidedFilter) (single, unbuilt uint64, err error) {
	row := t.conn.QueryRow(ctx, undecided+`SELECT countIf(verdict = {single:UInt8}), countIf(verdict != {single:UInt8}) FROM selected`, filter.parameters()...)
	if err := row.Scan(&single, &unbuilt); err != nil {
		return 0, 0, fmt.Errorf("counting what is undecided: %w", err)
	}
	return single, unbuilt, nil
}

// Undecided returns what is undecided in a set: first what one operator has, then what nobody
// has; of these first what most members are built with, and then what has waited longest.
func (t *Tables) Undecided(ctx context.Context, filter UndecidedFilter, limit int) ([]Undecided, error) {
	found, err := list(ctx, t.conn, func(rows driver.Rows) (u Undecided, err error) {
		var verdict uint8
		err = rows.Scan(&u.Output, &verdict, &u.Since, &u.Dependents, &u.Attribute, &u.System)
		u.Verdict = divergence.Verdict(verdict)
		return u, err
	}, undecided+`SELECT selected.output, verdict, since, used.dependents AS dependents, attribute, system
		FROM selected LEFT JOIN (SELECT arrayJoin(inputs) AS output, count() AS dependents FROM members GROUP BY output) AS used
			ON selected.output = used.output
		ORDER BY verdict DESC, dependents DESC, since, selected.output LIMIT {limit:UInt32}`,
		append(filter.parameters(), clickhouse.Named("limit", limit))...)
	if err != nil {
		return nil, fmt.Errorf("reading what is undecided: %w", err)
	}
	return found, nil
}
