package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// A StepKind says what a revision of a package set did to a place or a member.
type StepKind uint8

// The kinds of steps. A place is an attribute, a system and the name of an output; a member
// without an attribute has none.
const (
	Added   StepKind = iota // a member in a place that the revision before did not have
	Changed                 // a place that has another output than before
	Removed                 // a member of the revision before whose place is gone
)

// A StepCount says how many steps from the revision before a package set's revision are of
// one kind, by the verdicts of the outputs before and after.
type StepCount struct {
	Revision uint64 // by its ledger index
	Kind     StepKind
	Old, New divergence.Verdict // Old is not of what was added, New not of what was removed
	N        uint64
}

// A Step is one of them.
type Step struct {
	Kind                       StepKind
	Output                     uint32 // of the revision; of the one before if it was removed
	Before                     uint32 // what was in the place, if that changed
	Old, New                   divergence.Verdict
	Attribute, System, Version string
}

// came and gone are the members that a revision has and the one before it had not, and the
// other way round, of the revisions in {revisions}. A member whose description changed has
// a row that ends and one that begins, and is in neither.
const (
	came = `(SELECT since AS revision, output, attribute, system, name, package_version FROM set_members FINAL
		WHERE set = {set:String} AND since IN {revisions:Array(UInt64)} AND (output, since) NOT IN (
			SELECT output, until FROM set_members FINAL WHERE set = {set:String} AND until IN {revisions:Array(UInt64)}))`
	gone = `(SELECT until AS revision, output, attribute, system, name, package_version FROM set_members FINAL
		WHERE set = {set:String} AND until IN {revisions:Array(UInt64)} AND (output, until) NOT IN (
			SELECT output, since FROM set_members FINAL WHERE set = {set:String} AND since IN {revisions:Array(UInt64)}))`
	// replaced is gone by place, of each the output with the smallest number.
	replaced = `(SELECT revision, attribute, system, name, min(output) AS output, toUInt8(1) AS found FROM ` + gone + `
		WHERE attribute != '' GROUP BY revision, attribute, system, name)`
)

// steps is all steps to the revisions in {revisions}, with the verdicts before {before}.
func steps() string {
	judged := verdictsOf(`SELECT output FROM set_members WHERE set = {set:String} AND (since IN {revisions:Array(UInt64)} OR until IN {revisions:Array(UInt64)})`)
	return `(SELECT c.revision AS revision, g.found AS kind, c.output AS output, g.output AS before,
			v.verdict AS new, w.verdict AS old, c.attribute AS attribute, c.system AS system, c.name AS name, c.package_version AS version
		FROM ` + came + ` AS c
		LEFT JOIN ` + replaced + ` AS g ON c.revision = g.revision AND c.attribute = g.attribute AND c.system = g.system AND c.name = g.name
		LEFT JOIN ` + judged + ` AS v ON c.output = v.output
		LEFT JOIN ` + judged + ` AS w ON g.output = w.output
		UNION ALL
		SELECT g.revision AS revision, toUInt8(2) AS kind, g.output AS output, toUInt32(0) AS before,
			toUInt8(0) AS new, v.verdict AS old, g.attribute AS attribute, g.system AS system, g.name AS name, g.package_version AS version
		FROM ` + gone + ` AS g
		LEFT JOIN ` + judged + ` AS v ON g.output = v.output
		WHERE (g.revision, g.attribute, g.system, g.name) NOT IN (SELECT revision, attribute, system, name FROM ` + came + ` WHERE attribute != ''))`
}

// CountSteps counts the steps to revisions of a package set, which are given by the ledger
// indices that published them, by the verdicts that the outputs have before an index.
func (t *Tables) CountSteps(ctx context.Context, set string, revisions []uint64, before uint64) ([]StepCount, error) {
	if len(revisions) == 0 {
		return nil, nil
	}
	counts, err := list(ctx, t.conn, func(rows driver.Rows) (c StepCount, err error) {
		var kind, old, now uint8
		err = rows.Scan(&c.Revision, &kind, &old, &now, &c.N)
		c.Kind, c.Old, c.New = StepKind(kind), divergence.Verdict(old), divergence.Verdict(now)
		return c, err
	}, `SELECT revision, kind, old, new, count() AS n FROM `+steps()+` GROUP BY revision, kind, old, new ORDER BY revision, kind, old, new`,
		clickhouse.Named("set", set), clickhouse.Named("revisions", revisions), clickhouse.Named("before", before))
	if err != nil {
		return nil, fmt.Errorf("comparing the revisions of set %s: %w", set, err)
	}
	return counts, nil
}

// Steps lists steps to a revision of a package set, by attribute, system, output name and
// output: at most limit of what regressed, of what was fixed, of other members that diverge
// and that the revision before did not have, of other new places, and of what was removed.
func (t *Tables) Steps(ctx context.Context, set string, revision, before uint64, limit int) ([]Step, error) {
	list, err := list(ctx, t.conn, func(rows driver.Rows) (s Step, err error) {
		var kind, old, now uint8
		err = rows.Scan(&kind, &s.Output, &s.Before, &old, &now, &s.Attribute, &s.System, &s.Version)
		s.Kind, s.Old, s.New = StepKind(kind), divergence.Verdict(old), divergence.Verdict(now)
		return s, err
	}, `SELECT kind, output, before, old, new, attribute, system, version FROM (
			SELECT *, multiIf(kind = 2, 5,
				kind = 1 AND old = {reproduced:UInt8} AND new = {diverged:UInt8}, 1,
				kind = 1 AND old = {diverged:UInt8} AND new = {reproduced:UInt8}, 2,
				new = {diverged:UInt8}, 3, kind = 0, 4, 0) AS part FROM `+steps()+`)
		WHERE part > 0 ORDER BY part, attribute, system, name, output LIMIT {limit:UInt32} BY part`,
		clickhouse.Named("set", set), clickhouse.Named("revisions", []uint64{revision}), clickhouse.Named("before", before),
		clickhouse.Named("reproduced", uint8(divergence.Reproduced)), clickhouse.Named("diverged", uint8(divergence.Diverged)),
		clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("comparing the revisions of set %s: %w", set, err)
	}
	return list, nil
}
