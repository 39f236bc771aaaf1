package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const memberFields = `output, set, since, until, name, attribute, package_version, system, maintainers, inputs`

func readMember(rows driver.Rows) (m Member, err error) {
	return m, rows.Scan(&m.Output, &m.Set, &m.Since, &m.Until, &m.Name, &m.Attribute, &m.Version, &m.System, &m.Maintainers, &m.Inputs)
}

// MembersBefore returns a set's members as they were before the entry at a
// ledger index, whatever is written of that entry already, by output.
func (t *Tables) MembersBefore(ctx context.Context, set string, index uint64) (map[uint32]Member, error) {
	members := map[uint32]Member{}
	for m, err := range scan(ctx, t.conn, readMember, `SELECT `+memberFields+` FROM set_members FINAL
		WHERE set = {set:String} AND since < {index:UInt64} AND until >= {index:UInt64}`,
		clickhouse.Named("set", set), clickhouse.Named("index", index)) {
		if err != nil {
			return nil, fmt.Errorf("reading the members of set %s: %w", set, err)
		}
		m.Until = Newest
		members[m.Output] = m
	}
	return members, nil
}

// A Membership says that a set's newest revision has an output.
type Membership struct {
	Set    string
	Output uint32
}

// Memberships yields the members of the newest revisions before a ledger index.
func (t *Tables) Memberships(ctx context.Context, before uint64) iter.Seq2[Membership, error] {
	return scan(ctx, t.conn, func(rows driver.Rows) (m Membership, err error) {
		return m, rows.Scan(&m.Set, &m.Output)
	}, `SELECT set, output FROM set_members FINAL WHERE since < {before:UInt64} AND until >= {before:UInt64} ORDER BY set, output`,
		clickhouse.Named("before", before))
}
