package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Spoken is who spoke about the members of a package set, and how much.
type Spoken struct {
	Attestations uint64   // entries with a claim on one
	Observations uint64   // claims on them, one for each entry, builder and output
	Builders     []uint32 // who made them
}

// SpokenOf returns who spoke about the members of a set's newest revision. Its work is that
// of reading their claims.
func (t *Tables) SpokenOf(ctx context.Context, set string) (*Spoken, error) {
	var s Spoken
	err := t.conn.QueryRow(ctx, `SELECT uniqExact(log_index), count(), groupUniqArray(builder) FROM (
		SELECT DISTINCT output, log_index, builder FROM observations WHERE output IN (
			SELECT output FROM set_members FINAL WHERE set = {set:String} AND until = {newest:UInt64}))`,
		clickhouse.Named("set", set), clickhouse.Named("newest", uint64(Newest))).Scan(&s.Attestations, &s.Observations, &s.Builders)
	if err != nil {
		return nil, fmt.Errorf("counting the claims on the members of set %s: %w", set, err)
	}
	return &s, nil
}
