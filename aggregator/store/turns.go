package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/divergence"
)

// A TurnFilter selects changes of verdicts by their outputs; zero fields do not restrict.
type TurnFilter struct {
	Set        string
	Maintainer string
	Ecosystem  string
	Project    string // of keys "<project>/<file>"
	Package    string // of any ecosystem, if none is given
}

// where returns the conditions of a filter, each after an AND, and its parameters.
func (f *TurnFilter) where() (string, []any) {
	var conditions strings.Builder
	parameters := []any{clickhouse.Named("newest", uint64(Newest)), clickhouse.Named("diverged", uint8(divergence.Diverged))}
	add := func(condition, name, value string) {
		if value != "" {
			conditions.WriteString(" AND " + condition)
			parameters = append(parameters, clickhouse.Named(name, value))
		}
	}
	const turned = `SELECT output FROM verdict_changes WHERE new = {diverged:UInt8}`
	add(ofSet, "set", f.Set)
	add(ofMaintainer, "maintainer", f.Maintainer)
	if f.Package != "" {
		parameters = append(parameters, clickhouse.Named("ecosystem", f.Ecosystem))
		add(ofNamed, "package", f.Package)
	} else {
		add(`output IN (SELECT output FROM outputs WHERE output IN (`+turned+`) AND ecosystem = {ecosystem:String})`, "ecosystem", f.Ecosystem)
	}
	add(`output IN (SELECT output FROM outputs WHERE output IN (`+turned+`) AND startsWith(key, concat({project:String}, '/')))`, "project", f.Project)
	return conditions.String(), parameters
}

// Turns returns the newest changes of verdicts to diverged and back before a ledger index,
// at most limit: the newest first, those of one entry by output. With behind, they are those
// after that place. Its work is a pass over all changes, or over those of a set's or
// maintainer's outputs.
func (t *Tables) Turns(ctx context.Context, filter TurnFilter, before uint64, behind *Place, limit int) ([]Change, error) {
	where, parameters := filter.where()
	if behind != nil {
		where += ` AND (log_index < {since:UInt64} OR log_index = {since:UInt64} AND output > {output:UInt32})`
		parameters = append(parameters, clickhouse.Named("since", behind.Since), clickhouse.Named("output", behind.Output))
	}
	parameters = append(parameters, clickhouse.Named("before", before), clickhouse.Named("limit", limit), clickhouse.Named("ask", 2*limit))
	// A change may have several rows, after a batch that was written again.
	changes, err := list(ctx, t.conn, readChange, `SELECT output, log_index, old, new FROM (
			SELECT output, log_index, old, new FROM verdict_changes
			WHERE (old = {diverged:UInt8} OR new = {diverged:UInt8}) AND log_index < {before:UInt64}`+where+`
			ORDER BY log_index DESC, output LIMIT {ask:UInt32})
		ORDER BY log_index DESC, output LIMIT 1 BY output, log_index LIMIT {limit:UInt32}`, parameters...)
	if err != nil {
		return nil, fmt.Errorf("reading changes of verdicts: %w", err)
	}
	return changes, nil
}

// TurnsBetween returns the changes of verdicts by the ledger entries from ≤ index < before that
// may matter to who waits for one, at most limit: changes to diverged and back, and changes
// to reproduced of what came in a package set in the place of an output that ever diverged.
// They are in ledger order, those of one entry by output; with behind, those after that
// place. Its work is a pass over the ledger indices of all changes.
func (t *Tables) TurnsBetween(ctx context.Context, from, before uint64, behind *Place, limit int) ([]Change, error) {
	const (
		diverged = `SELECT output FROM verdict_changes WHERE new = {diverged:UInt8}`
		replaced = `SELECT set, attribute, system, name, until FROM set_members WHERE attribute != '' AND output IN (` + diverged + `)`
		came     = `SELECT output FROM set_members WHERE (set, attribute, system, name, since) IN (` + replaced + `)`
	)
	where, parameters := "", []any{
		clickhouse.Named("from", from), clickhouse.Named("before", before), clickhouse.Named("limit", limit), clickhouse.Named("ask", 2*limit),
		clickhouse.Named("reproduced", uint8(divergence.Reproduced)), clickhouse.Named("diverged", uint8(divergence.Diverged)),
	}
	if behind != nil {
		where = ` AND (log_index > {since:UInt64} OR log_index = {since:UInt64} AND output > {output:UInt32})`
		parameters = append(parameters, clickhouse.Named("since", behind.Since), clickhouse.Named("output", behind.Output))
	}
	changes, err := list(ctx, t.conn, readChange, `SELECT output, log_index, old, new FROM (
			SELECT output, log_index, old, new FROM verdict_changes
			WHERE log_index >= {from:UInt64} AND log_index < {before:UInt64}`+where+`
				AND (old = {diverged:UInt8} OR new = {diverged:UInt8} OR new = {reproduced:UInt8} AND output IN (`+came+`))
			ORDER BY log_index, output LIMIT {ask:UInt32})
		ORDER BY log_index, output LIMIT 1 BY output, log_index LIMIT {limit:UInt32}`, parameters...)
	if err != nil {
		return nil, fmt.Errorf("reading changes of verdicts: %w", err)
	}
	return changes, nil
}

// TurnsOf returns what changes are for package sets: of each set that had the output as a
// member at the time, in the order of the changes, by set.
func (t *Tables) TurnsOf(ctx context.Context, changes []Change) ([]SetTurn, error) {
	sets, err := t.NewestSets(ctx)
	if err != nil || len(sets) == 0 || len(changes) == 0 {
		return nil, err
	}
	names := make([]string, len(sets))
	for i, s := range sets {
		names[i] = s.Name
	}
	return t.turnsOf(ctx, changes, names...)
}
