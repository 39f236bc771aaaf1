package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/attestation"
)

// WithDigests returns the first outputs for which anybody ever claimed each of some digests,
// or another with the same first 8 bytes: at most limit of one, by the [Short] of the digest
// and by number.
func (t *Tables) WithDigests(ctx context.Context, digests []attestation.Digest, limit int) (map[uint64][]uint32, error) {
	return many(digests, func(part []attestation.Digest) (map[uint64][]uint32, error) {
		short := make([]uint64, len(part))
		for i, d := range part {
			short[i] = Short(d[:])
		}
		outputs := make(map[uint64][]uint32, len(part))
		for p, err := range scan(ctx, t.conn, readPair, `SELECT DISTINCT digest, output FROM digests WHERE digest IN {digests:Array(UInt64)}
			ORDER BY digest, output LIMIT {limit:UInt32} BY digest`, clickhouse.Named("digests", short), clickhouse.Named("limit", limit)) {
			if err != nil {
				return nil, fmt.Errorf("reading the outputs with digests: %w", err)
			}
			outputs[p.Hash] = append(outputs[p.Hash], p.Output)
		}
		return outputs, nil
	})
}

// Keys returns which outputs have numbers: of their [Tables.Names] only what makes up their
// IDs, which is half of the bytes to read.
func (t *Tables) Keys(ctx context.Context, outputs []uint32) (map[uint32]OutputKey, error) {
	return many(outputs, func(part []uint32) (map[uint32]OutputKey, error) {
		keys := make(map[uint32]OutputKey, len(part))
		for k, err := range scan(ctx, t.conn, func(rows driver.Rows) (k OutputKey, err error) {
			return k, rows.Scan(&k.Output, &k.Ecosystem, &k.Key)
		}, `SELECT output, ecosystem, key FROM outputs WHERE output IN {outputs:Array(UInt32)}`, clickhouse.Named("outputs", part)) {
			if err != nil {
				return nil, fmt.Errorf("reading keys of outputs: %w", err)
			}
			keys[k.Output] = k
		}
		return keys, nil
	})
}

// InBucket returns the states of the outputs whose IDs are from one to another, at most
// limit.
func (t *Tables) InBucket(ctx context.Context, from, to attestation.OutputID, limit int) (map[attestation.OutputID]*State, error) {
	return newest(limit, scan(ctx, t.conn, readState, `SELECT `+stateFields+` FROM verdicts FINAL
		WHERE hash >= {from:UInt64} AND hash <= {to:UInt64} LIMIT {limit:UInt32}`,
		clickhouse.Named("from", Short(from[:])), clickhouse.Named("to", Short(to[:])), clickhouse.Named("limit", limit)))
}

func readPair(rows driver.Rows) (p Pair, err error) { return p, rows.Scan(&p.Hash, &p.Output) }

// many asks in parts, each of which a statement can hold. Of nothing, nothing is asked.
func many[T any, K comparable, V any](of []T, ask func(part []T) (map[K]V, error)) (map[K]V, error) {
	all := map[K]V{}
	for part := range slices.Chunk(of, maxList) {
		found, err := ask(part)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}
