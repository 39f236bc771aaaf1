package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A place is what one revision of a package set has under a name that the next one has too.
type place struct {
	set, attribute, system, name string
	revision                     uint64
}

// Predecessors returns, for each output among members of the newest revisions of package
// sets, the outputs in whose places it came: those that the set had under the same
// attribute, system and output name until the revision since which it has this one.
func (t *Tables) Predecessors(ctx context.Context, members []Member) (map[uint32][]uint32, error) {
	before := map[uint32][]uint32{}
	places := map[place][]uint32{}
	var sets, attributes []string
	var revisions []uint64
	for _, m := range members {
		if m.Attribute == "" || m.Until != Newest {
			continue
		}
		at := place{m.Set, m.Attribute, m.System, m.Name, m.Since}
		places[at] = append(places[at], m.Output)
		sets, attributes, revisions = append(sets, m.Set), append(attributes, m.Attribute), append(revisions, m.Since)
	}
	if len(places) == 0 {
		return before, nil
	}
	for was, err := range scan(ctx, t.conn, readMember, `SELECT `+memberFields+` FROM set_members FINAL
		WHERE set IN {sets:Array(String)} AND until IN {revisions:Array(UInt64)} AND attribute IN {attributes:Array(String)}
		ORDER BY output`,
		clickhouse.Named("sets", sets), clickhouse.Named("revisions", revisions), clickhouse.Named("attributes", attributes)) {
		if err != nil {
			return nil, fmt.Errorf("reading earlier revisions of package sets: %w", err)
		}
		for _, output := range places[place{was.Set, was.Attribute, was.System, was.Name, was.Until}] {
			if output != was.Output {
				before[output] = append(before[output], was.Output)
			}
		}
	}
	return before, nil
}
