package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// maxList bounds a list that goes into a statement: a server takes a URL of 1 MiB.
const maxList = 32_768

func readString(rows driver.Rows) (s string, err error) { return s, rows.Scan(&s) }

// Watermark returns how far the index has come; the zero value at its beginning.
func (t *Tables) Watermark(ctx context.Context) (Watermark, error) {
	var w Watermark
	err := t.conn.QueryRow(ctx, `SELECT size, outputs, attestations, observations, failures, ignored, builders, operators, received_at, origin, root
		FROM watermark ORDER BY size DESC LIMIT 1`).
		Scan(&w.Size, &w.Outputs, &w.Attestations, &w.Observations, &w.Failures, &w.Ignored, &w.Builders, &w.Operators, &w.ReceivedAt, &w.Origin, &w.Root)
	if errors.Is(err, sql.ErrNoRows) {
		return Watermark{}, nil
	}
	if err != nil {
		return Watermark{}, fmt.Errorf("reading the watermark: %w", err)
	}
	return w, nil
}

// Covered returns how many entries are indexed, and how many of them the newest
// roll-up covers.
func (t *Tables) Covered(ctx context.Context) (indexed, compared uint64, err error) {
	if err := t.conn.QueryRow(ctx, `SELECT (SELECT max(size) FROM watermark), (SELECT max(version) FROM rollups)`).Scan(&indexed, &compared); err != nil {
		return 0, 0, fmt.Errorf("reading the watermark: %w", err)
	}
	return indexed, compared, nil
}

// Roster returns the enrolments and revocations before a ledger index, in order.
func (t *Tables) Roster(ctx context.Context, before uint64) ([]RosterEntry, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (e RosterEntry, err error) {
		return e, rows.Scan(&e.Index, &e.Kind, &e.Body)
	}, `SELECT log_index, kind, body FROM roster FINAL WHERE log_index < {before:UInt64} ORDER BY log_index`,
		clickhouse.Named("before", before))
}

// Ecosystems returns the names of the ecosystems that occur, in order.
func (t *Tables) Ecosystems(ctx context.Context) ([]string, error) {
	return list(ctx, t.conn, readString, `SELECT DISTINCT name FROM ecosystems ORDER BY name`)
}

// LatestCounts returns each scope's newest counts, which may go beyond the
// watermark: as far as their Version says.
func (t *Tables) LatestCounts(ctx context.Context) ([]DayCounts, error) {
	return list(ctx, t.conn, readCounts, `SELECT scope, day, version, unbuilt, single, reproduced, diverged
		FROM counts ORDER BY scope, day DESC, version DESC LIMIT 1 BY scope`)
}

func readCounts(rows driver.Rows) (c DayCounts, err error) {
	err = rows.Scan(&c.Scope, &c.Day, &c.Version, &c.Counts[divergence.Unbuilt], &c.Counts[divergence.Single],
		&c.Counts[divergence.Reproduced], &c.Counts[divergence.Diverged])
	c.Day = c.Day.UTC()
	return c, err
}

// CountBuilders returns the totals of all builders with an attestation before a
// ledger index, counted anew.
func (t *Tables) CountBuilders(ctx context.Context, before uint64) ([]BuilderStats, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (b BuilderStats, err error) {
		b.Version = before
		return b, rows.Scan(&b.Builder, &b.Attestations, &b.Observations, &b.LastSeen)
	}, `SELECT builder, count(), toUInt64(sum(outputs)), max(received_at) FROM (
			SELECT builder, log_index, outputs, received_at FROM entries FINAL WHERE ignored = ''
			UNION ALL SELECT builder, log_index, outputs, received_at FROM documents FINAL)
		WHERE log_index < {before:UInt64} AND builder != 4294967295
		GROUP BY builder ORDER BY builder`, clickhouse.Named("before", before))
}

// A ClaimKey identifies an attestation: its builder and the SHA-256 of its
// payload.
type ClaimKey struct {
	Index   uint64
	Builder uint32
	Payload attestation.Digest
}

// DuplicateKeys yields the keys of the attestations from a ledger index on, in
// no particular order.
func (t *Tables) DuplicateKeys(ctx context.Context, from uint64) iter.Seq2[ClaimKey, error] {
	return scan(ctx, t.conn, func(rows driver.Rows) (k ClaimKey, err error) {
		var payload []byte
		err = rows.Scan(&k.Index, &k.Builder, &payload)
		copy(k.Payload[:], payload)
		return k, err
	}, `SELECT log_index, builder, payload FROM statements WHERE log_index >= {from:UInt64}`, clickhouse.Named("from", from))
}

// ReceivedAt returns when the entries at the given indices were received.
func (t *Tables) ReceivedAt(ctx context.Context, indices []uint64) (map[uint64]time.Time, error) {
	times := make(map[uint64]time.Time, len(indices))
	type row struct {
		index uint64
		at    time.Time
	}
	for part := range slices.Chunk(indices, maxList) {
		for r, err := range scan(ctx, t.conn, func(rows driver.Rows) (r row, err error) { return r, rows.Scan(&r.index, &r.at) },
			`SELECT log_index, received_at FROM entries WHERE log_index IN {indices:Array(UInt64)}`,
			clickhouse.Named("indices", part)) {
			if err != nil {
				return nil, fmt.Errorf("reading times of receipt: %w", err)
			}
			times[r.index] = r.at
		}
	}
	return times, nil
}

// DiskUsage returns the bytes that each table takes on disk.
func (t *Tables) DiskUsage(ctx context.Context) (map[string]uint64, error) {
	usage := map[string]uint64{}
	type table struct {
		name  string
		bytes uint64
	}
	for r, err := range scan(ctx, t.conn, func(rows driver.Rows) (r table, err error) { return r, rows.Scan(&r.name, &r.bytes) },
		`SELECT table, sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND active GROUP BY table`) {
		if err != nil {
			return nil, fmt.Errorf("reading the tables' sizes: %w", err)
		}
		usage[r.name] = r.bytes
	}
	return usage, nil
}
