package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// A DivergenceFilter selects divergences; nil and zero fields do not restrict.
type DivergenceFilter struct {
	Set        string
	Maintainer string
	Shape      divergence.Shape
	Cause      *divergence.Cause
	Builder    *uint32 // with a claim that counts
	Ecosystem  string
	Project    string // of keys "<project>/<file>"
	Package    string // of any ecosystem, if none is given
}

// A Place is where a page of divergences, newest first, begins: behind the one
// with this Since and Output.
type Place struct {
	Since  uint64
	Output uint32
}

// inherits is the outputs with an input that diverges, as the newest package
// sets say.
const inherits = `(SELECT output FROM (SELECT output, arrayJoin(inputs) AS input FROM set_members FINAL
	WHERE until = {newest:UInt64} AND output IN (SELECT output FROM divergences WHERE inputs = {differ:UInt8}))
	WHERE input IN (SELECT output FROM divergences FINAL WHERE diverged = 1))`

// ofSet and ofMaintainer are conditions on outputs, as the newest package sets say; ofNamed is
// one by package.
const (
	ofNamed = `output IN (SELECT output FROM package_outputs WHERE package = {package:String} AND ({ecosystem:String} = '' OR ecosystem = {ecosystem:String}))`

	ofSet        = `output IN (SELECT output FROM set_members FINAL WHERE set = {set:String} AND until = {newest:UInt64})`
	ofMaintainer = `output IN (SELECT output FROM set_members FINAL WHERE until = {newest:UInt64} AND has(maintainers, {maintainer:String}))`
)

// where returns the condition of a filter, and its parameters.
func (f *DivergenceFilter) where() (string, []any) {
	conditions := []string{"diverged = 1"}
	parameters := []any{
		clickhouse.Named("newest", uint64(Newest)),
		clickhouse.Named("same", uint8(divergence.InputsSame)),
		clickhouse.Named("differ", uint8(divergence.InputsDiffer)),
	}
	add := func(condition, name string, value any) {
		conditions = append(conditions, condition)
		parameters = append(parameters, clickhouse.Named(name, value))
	}
	if f.Set != "" {
		add(ofSet, "set", f.Set)
	}
	if f.Maintainer != "" {
		add(ofMaintainer, "maintainer", f.Maintainer)
	}
	switch {
	case f.Package != "":
		parameters = append(parameters, clickhouse.Named("ecosystem", f.Ecosystem))
		add(ofNamed, "package", f.Package)
	case f.Ecosystem != "":
		add(`output IN (SELECT output FROM outputs WHERE output IN (SELECT output FROM divergences WHERE diverged = 1)
			AND ecosystem = {ecosystem:String})`, "ecosystem", f.Ecosystem)
	}
	if f.Project != "" {
		add(`output IN (SELECT output FROM outputs WHERE output IN (SELECT output FROM divergences WHERE diverged = 1)
			AND startsWith(key, concat({project:String}, '/')))`, "project", f.Project)
	}
	if f.Shape != divergence.NoShape {
		add(`shape = {shape:UInt8}`, "shape", uint8(f.Shape))
	}
	if f.Builder != nil {
		add(`has(holders, {builder:UInt32})`, "builder", *f.Builder)
	}
	if f.Cause != nil {
		// What divergence.CauseOf says.
		switch *f.Cause {
		case divergence.Own:
			conditions = append(conditions, `inputs = {same:UInt8}`)
		case divergence.Inherited:
			conditions = append(conditions, `inputs = {differ:UInt8} AND output IN `+inherits)
		case divergence.UnknownCause:
			conditions = append(conditions, `inputs != {same:UInt8} AND NOT (inputs = {differ:UInt8} AND output IN `+inherits+`)`)
		}
	}
	return strings.Join(conditions, " AND "), parameters
}

// CountDivergences returns how many divergences a filter selects.
func (t *Tables) CountDivergences(ctx context.Context, filter DivergenceFilter) (n uint64, err error) {
	where, parameters := filter.where()
	if err := t.conn.QueryRow(ctx, `SELECT count() FROM divergences FINAL WHERE `+where, parameters...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting divergences: %w", err)
	}
	return n, nil
}

// Divergences returns at most limit divergences behind a place, newest first;
// from the newest on if it is nil.
func (t *Tables) Divergences(ctx context.Context, filter DivergenceFilter, behind *Place, limit int) ([]Divergence, error) {
	where, parameters := filter.where()
	if behind != nil {
		where += ` AND (since < {since:UInt64} OR since = {since:UInt64} AND output > {output:UInt32})`
		parameters = append(parameters, clickhouse.Named("since", behind.Since), clickhouse.Named("output", behind.Output))
	}
	parameters = append(parameters, clickhouse.Named("limit", limit))
	rows, err := list(ctx, t.conn, readDivergence, `SELECT output, version, diverged, shape, inputs, since, previous, holders
		FROM divergences FINAL WHERE output IN (
			SELECT output FROM divergences FINAL WHERE `+where+` ORDER BY since DESC, output LIMIT {limit:UInt32})
		ORDER BY since DESC, output`, parameters...)
	if err != nil {
		return nil, fmt.Errorf("reading divergences: %w", err)
	}
	return rows, nil
}

func readDivergence(rows driver.Rows) (d Divergence, err error) {
	var diverged, shape, inputs, previous uint8
	if err := rows.Scan(&d.Output, &d.Version, &diverged, &shape, &inputs, &d.Since, &previous, &d.Holders); err != nil {
		return d, err
	}
	d.Diverged, d.Shape, d.Inputs, d.Previous = diverged == 1, divergence.Shape(shape), divergence.Inputs(inputs), divergence.Verdict(previous)
	return d, nil
}

// Inheriting returns those of the given outputs that have an input which
// diverges, as the newest revisions of package sets say.
func (t *Tables) Inheriting(ctx context.Context, outputs []uint32) (map[uint32]bool, error) {
	inheriting := map[uint32]bool{}
	if len(outputs) == 0 {
		return inheriting, nil
	}
	for output, err := range scan(ctx, t.conn, readNumber, `SELECT DISTINCT output FROM (
			SELECT output, arrayJoin(inputs) AS input FROM set_members FINAL
			WHERE set IN (SELECT name FROM sets) AND output IN {outputs:Array(UInt32)} AND until = {newest:UInt64})
		WHERE input IN (SELECT output FROM divergences FINAL WHERE diverged = 1)`,
		clickhouse.Named("outputs", outputs), clickhouse.Named("newest", uint64(Newest))) {
		if err != nil {
			return nil, fmt.Errorf("reading divergences: %w", err)
		}
		inheriting[output] = true
	}
	return inheriting, nil
}
