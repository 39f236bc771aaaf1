package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/divergence"
)

// Builders returns the totals of all builders with an attestation, by number.
func (t *Tables) Builders(ctx context.Context) ([]BuilderStats, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (b BuilderStats, err error) {
		return b, rows.Scan(&b.Builder, &b.Version, &b.Attestations, &b.Observations, &b.LastSeen)
	}, `SELECT builder, version, attestations, observations, last_seen FROM builders
		ORDER BY builder, version DESC LIMIT 1 BY builder`)
}

// Recent returns the indices of a builder's newest attestations and documents,
// newest first.
func (t *Tables) Recent(ctx context.Context, builder uint32, limit int) ([]uint64, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (i uint64, err error) { return i, rows.Scan(&i) },
		`SELECT log_index FROM (SELECT builder, log_index FROM entries WHERE ignored = '' UNION ALL SELECT builder, log_index FROM documents)
		WHERE builder = {builder:UInt32} ORDER BY log_index DESC LIMIT 1 BY log_index LIMIT {limit:UInt32}`,
		clickhouse.Named("builder", builder), clickhouse.Named("limit", limit))
}

// A Stream is one installation's chain of statements.
type Stream struct {
	Builder    uint32
	ID         [16]byte
	Statements uint64
	Last       uint64   // highest sequence
	Missing    uint64   // sequences below it that never came and were not bridged
	Forks      []uint64 // sequences with two payloads, at most MaxForks
}

// MaxForks is how many forks of a stream are listed.
const MaxForks = 100

// A statement that an aggregator refused took a sequence, and the builder says
// so by naming its payload as skipped.
const streams = `SELECT builder, stream, sum(n) AS statements, max(sequence) AS last,
		toUInt64(greatest(last + 1 - count() - length(arrayDistinct(arrayFlatten(groupArray(skips)))), 0)) AS missing,
		arraySlice(groupArrayIf(sequence, n > 1), 1, 100) AS forks
	FROM (
		SELECT builder, stream, sequence, uniqExact(payload) AS n, arrayFlatten(groupArray(skipped)) AS skips
		FROM statements WHERE stream != toFixedString('', 16) AND %s
		GROUP BY builder, stream, sequence ORDER BY builder, stream, sequence
	)
	GROUP BY builder, stream ORDER BY builder, stream
	SETTINGS optimize_aggregation_in_order = 1`

func readStream(rows driver.Rows) (s Stream, err error) {
	var id []byte
	err = rows.Scan(&s.Builder, &id, &s.Statements, &s.Last, &s.Missing, &s.Forks)
	copy(s.ID[:], id)
	return s, err
}

// Streams returns a builder's chains, by ID.
func (t *Tables) Streams(ctx context.Context, builder uint32) ([]Stream, error) {
	return list(ctx, t.conn, readStream, fmt.Sprintf(streams, `builder = {builder:UInt32}`), clickhouse.Named("builder", builder))
}

// FindOddStreams returns all chains that the entries before a ledger index leave
// with forks or gaps.
func (t *Tables) FindOddStreams(ctx context.Context, before uint64) ([]Stream, error) {
	return list(ctx, t.conn, readStream, `SELECT * FROM (`+fmt.Sprintf(streams, "log_index < {before:UInt64}")+`)
		WHERE missing > 0 OR notEmpty(forks)`, clickhouse.Named("before", before))
}

// OddStreams returns the chains with forks or gaps as of a roll-up.
func (t *Tables) OddStreams(ctx context.Context, version uint64) ([]Stream, error) {
	return list(ctx, t.conn, readStream, `SELECT builder, stream, statements, last, missing, forks FROM odd_streams
		WHERE version = {version:UInt64} ORDER BY builder, stream`, clickhouse.Named("version", version))
}

// BuilderVerdicts returns how many of the outputs that a builder claims have
// which verdict, as of a roll-up.
func (t *Tables) BuilderVerdicts(ctx context.Context, version uint64, builder uint32) (Counts, error) {
	all, err := list(ctx, t.conn, func(rows driver.Rows) (c Counts, err error) {
		return c, rows.Scan(&c[divergence.Unbuilt], &c[divergence.Single], &c[divergence.Reproduced], &c[divergence.Diverged])
	}, `SELECT unbuilt, single, reproduced, diverged FROM builder_verdicts
		WHERE version = {version:UInt64} AND builder = {builder:UInt32}`, clickhouse.Named("version", version), clickhouse.Named("builder", builder))
	if err != nil || len(all) == 0 {
		return Counts{}, err
	}
	return all[0], nil
}

// An Agreement compares two operators, by their numbers.
type Agreement struct {
	A, B          uint32
	Common, Agree uint64
}

// Agreement returns all pairs of operators with common outputs as of a roll-up.
func (t *Tables) Agreement(ctx context.Context, version uint64) ([]Agreement, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (a Agreement, err error) {
		return a, rows.Scan(&a.A, &a.B, &a.Common, &a.Agree)
	}, `SELECT a, b, common, agree FROM agreement WHERE version = {version:UInt64} ORDER BY a, b`, clickhouse.Named("version", version))
}

// Copying returns the operators that seemed to copy as of a roll-up; each one's
// likeliest sources first.
func (t *Tables) Copying(ctx context.Context, version uint64) ([]Copying, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (c Copying, err error) {
		return c, rows.Scan(&c.Operator, &c.Source, &c.Common, &c.Same, &c.Outputs)
	}, `SELECT operator, source, common, same, outputs FROM copying WHERE version = {version:UInt64}
		ORDER BY operator, same DESC, source`, clickhouse.Named("version", version))
}
