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

// places is the places that the revisions in {revisions} changed: revision, place, and the
// outputs that are in it from then on and that were in it until then, each with 1 added, 0
// where there is none. A member without an attribute is a place of its own. If a set gives one
// place to several members, the one with the smallest number stands for it, and all of them
// are counted as added or removed.
//
// A member's row may be there in an older state too, without its end, which is then no
// revision's: so what is said of ends and beginnings needs no FINAL, which would cost more
// than all of this.
const places = `(SELECT e.1 AS revision, attribute, system, name, if(attribute = '', output, 0) AS alone,
		minIf(output + 1, e.2 = 1) AS after, minIf(output + 1, e.2 = 0) AS earlier,
		toUInt64(if(after = 0 OR earlier = 0, uniqExact(output), 1)) AS members,
		maxIf(package_version, e.2 = 1) AS version_after, maxIf(package_version, e.2 = 0) AS version_earlier
	FROM (SELECT output, attribute, system, name, package_version, arrayJoin([(since, 1), (until, 0)]) AS e FROM set_members
		WHERE set = {set:String} AND (since IN {revisions:Array(UInt64)} OR until IN {revisions:Array(UInt64)}))
	WHERE e.1 IN {revisions:Array(UInt64)}
	GROUP BY revision, attribute, system, name, alone HAVING after != earlier)`

// steps is all steps to the revisions in {revisions}, with the verdicts before {before}.
func steps() string {
	judged := verdictsOf(`SELECT output FROM set_members WHERE set = {set:String} AND (since IN {revisions:Array(UInt64)} OR until IN {revisions:Array(UInt64)})`)
	return `(SELECT p.revision AS revision, multiIf(p.earlier = 0, 0, p.after = 0, 2, 1) AS kind,
			toUInt32(if(p.after = 0, p.earlier, p.after) - 1) AS output, toUInt32(if(p.earlier = 0, 0, p.earlier - 1)) AS before,
			v.verdict AS new, w.verdict AS old, p.attribute AS attribute, p.system AS system, p.name AS name,
			if(p.after = 0, p.version_earlier, p.version_after) AS version, p.members AS members
		FROM ` + places + ` AS p
		LEFT JOIN ` + judged + ` AS v ON p.after = v.one_more
		LEFT JOIN ` + judged + ` AS w ON p.earlier = w.one_more)`
}

// CountSteps counts the steps to revisions of a package set, which are given by the ledger
// indices that published them, by the verdicts that the outputs have before an index.
func (t *Tables) CountSteps(ctx context.Context, set string, revisions []uint64, before uint64) ([]StepCount, error) {
	if len(revisions) == 0 {
		return nil, nil
	}
	counts, err := list(ctx, t.conn, readStepCount, `SELECT revision, kind, old, new, sum(members) AS n FROM `+steps()+` GROUP BY revision, kind, old, new ORDER BY revision, kind, old, new`,
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
	list, err := list(ctx, t.conn, readStep, `SELECT kind, output, before, old, new, attribute, system, version FROM (
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

func readStepCount(rows driver.Rows) (c StepCount, err error) {
	var kind, old, now uint8
	err = rows.Scan(&c.Revision, &kind, &old, &now, &c.N)
	c.Kind, c.Old, c.New = StepKind(kind), divergence.Verdict(old), divergence.Verdict(now)
	return c, err
}

func readStep(rows driver.Rows) (s Step, err error) {
	var kind, old, now uint8
	err = rows.Scan(&kind, &s.Output, &s.Before, &old, &now, &s.Attribute, &s.System, &s.Version)
	s.Kind, s.Old, s.New = StepKind(kind), divergence.Verdict(old), divergence.Verdict(now)
	return s, err
}
