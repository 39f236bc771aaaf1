package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// A SetTurn is a change of the verdict of an output that was a package set's member at the
// time.
type SetTurn struct {
	Change
	Member
	// Before is the output that was in the member's place in the revision before the one
	// with which it came; nil if there was none.
	Before *uint32
}

// SetTurns returns the newest changes of verdicts that may matter to a package set, at most
// limit before a ledger index, of outputs that were members at the time, in revisions that
// were not replaced before the one at index oldest: changes to diverged and back, and changes
// to reproduced of what came in the place of an output that ever diverged. The newest are
// first, those of one entry by output.
func (t *Tables) SetTurns(ctx context.Context, set string, oldest, before uint64, limit int) ([]SetTurn, error) {
	// What diverged is few, of whatever set: selecting by that first is much faster than by the
	// members. A row that is there without its end as well only makes the first three select more.
	const (
		diverged = `SELECT output FROM verdict_changes WHERE new = {diverged:UInt8}`
		replaced = `SELECT attribute, system, name, until FROM set_members WHERE set = {set:String} AND attribute != '' AND output IN (` + diverged + `)`
		came     = `SELECT output FROM set_members WHERE set = {set:String} AND until > {oldest:UInt64} AND (attribute, system, name, since) IN (` + replaced + `)`
		spans    = `SELECT output, since, min(until) AS until FROM set_members
			WHERE set = {set:String} AND (output IN (` + diverged + `) OR output IN (` + came + `)) GROUP BY output, since HAVING until > {oldest:UInt64}`
	)
	changes, err := list(ctx, t.conn, readChange, `SELECT DISTINCT c.output AS output, c.log_index AS log_index, c.old AS old, c.new AS new
		FROM (SELECT output, log_index, old, new FROM verdict_changes
			WHERE log_index < {before:UInt64} AND (old = {diverged:UInt8} OR new = {diverged:UInt8} OR new = {reproduced:UInt8} AND output IN (`+came+`))) AS c
		INNER JOIN (`+spans+`) AS s ON c.output = s.output
		WHERE c.log_index >= s.since AND c.log_index < s.until ORDER BY log_index DESC, output LIMIT {limit:UInt32}`,
		clickhouse.Named("set", set), clickhouse.Named("oldest", oldest), clickhouse.Named("before", before), clickhouse.Named("limit", limit),
		clickhouse.Named("reproduced", uint8(divergence.Reproduced)), clickhouse.Named("diverged", uint8(divergence.Diverged)))
	if err != nil {
		return nil, fmt.Errorf("reading changes of verdicts in set %s: %w", set, err)
	}
	return t.turnsOf(ctx, changes, set)
}

// turnsOf returns what changes are for package sets, in the order of the changes: of each that
// had the output as a member at the time, by set.
func (t *Tables) turnsOf(ctx context.Context, changes []Change, sets ...string) ([]SetTurn, error) {
	rows, err := t.membersOver(ctx, sets, changes)
	if err != nil {
		return nil, err
	}
	var turns []SetTurn
	for _, c := range changes {
		for _, m := range rows[c.Output] { // none of a set whose member is being written
			at := m.Since <= c.Index && c.Index < m.Until
			if known := len(turns) > 0 && turns[len(turns)-1].Change == c && turns[len(turns)-1].Set == m.Set; at && !known {
				turns = append(turns, SetTurn{Change: c, Member: m})
			}
		}
	}
	return turns, t.addReplaced(ctx, sets, turns)
}

// membersOver returns what revisions of package sets say of the outputs of changes, by output,
// and each by set and revision.
func (t *Tables) membersOver(ctx context.Context, sets []string, changes []Change) (map[uint32][]Member, error) {
	outputs := make([]uint32, len(changes))
	for i, c := range changes {
		outputs[i] = c.Output
	}
	rows := map[uint32][]Member{}
	for m, err := range scan(ctx, t.conn, readMember, `SELECT `+memberFields+` FROM set_members FINAL
		WHERE set IN {sets:Array(String)} AND output IN {outputs:Array(UInt32)} ORDER BY output, set, since`,
		clickhouse.Named("sets", sets), clickhouse.Named("outputs", distinct(outputs))) {
		if err != nil {
			return nil, fmt.Errorf("reading the members of package sets: %w", err)
		}
		rows[m.Output] = append(rows[m.Output], m)
	}
	return rows, nil
}

// addReplaced completes turns by what was in the places of their members before.
func (t *Tables) addReplaced(ctx context.Context, sets []string, turns []SetTurn) error {
	var attributes []string
	var since []uint64
	for i := range turns {
		if m := &turns[i].Member; m.Attribute != "" {
			attributes, since = append(attributes, m.Attribute), append(since, m.Since)
		}
	}
	if len(attributes) == 0 {
		return nil
	}
	type row struct {
		place
		output uint32
	}
	before := map[place][]uint32{}
	for r, err := range scan(ctx, t.conn, func(rows driver.Rows) (r row, err error) {
		return r, rows.Scan(&r.set, &r.attribute, &r.system, &r.name, &r.revision, &r.output)
	}, `SELECT DISTINCT set, attribute, system, name, until, output FROM set_members
		WHERE set IN {sets:Array(String)} AND attribute IN {attributes:Array(String)} AND until IN {since:Array(UInt64)} ORDER BY output`,
		clickhouse.Named("sets", sets), clickhouse.Named("attributes", distinct(attributes)), clickhouse.Named("since", distinct(since))) {
		if err != nil {
			return fmt.Errorf("reading earlier revisions of package sets: %w", err)
		}
		before[r.place] = append(before[r.place], r.output)
	}
	for i := range turns {
		m := &turns[i].Member
		for _, output := range before[place{m.Set, m.Attribute, m.System, m.Name, m.Since}] {
			if m.Attribute != "" && output != m.Output {
				turns[i].Before = &output
				break
			}
		}
	}
	return nil
}

func distinct[T interface {
	~string | ~uint32 | ~uint64
}](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}
