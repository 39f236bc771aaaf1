package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/api"
	"repronet.dev/internal/chdb"
)

// lookupRounds is how often as many keys are looked up as one request takes; an address has
// ten such requests in a minute.
const lookupRounds = 5

// lookup measures one request that looks 10,000 keys up, beside the statement without which
// it cannot be answered.
func (b *bench) lookup(ctx context.Context) error {
	bare, err := bareLookup(ctx, filepath.Join(b.tmp, "lookup"), b.whole())
	if err != nil {
		return err
	}
	client, err := api.Dial(b.filled.URL, time.Minute)
	if err != nil {
		return err
	}
	defer client.Close()
	for _, of := range []struct {
		name string
		key  func(n uint64) string
	}{
		{"outputs", outputPath},
		{"digests", func(n uint64) string { return digestOf(n, 0).Hex() }},
	} {
		var took []time.Duration
		for round := range lookupRounds {
			keys, stored := b.keysToLookUp(uint64(round), of.key)
			begin := time.Now()
			answer, err := client.Lookup(ctx, keys)
			if err != nil {
				return err
			}
			took = append(took, time.Since(begin))
			if known := countKnown(answer); known != stored {
				return fmt.Errorf("%d of %d %s are known, and %d are stored", known, len(keys), of.name, stored)
			}
		}
		b.report.add(fmt.Sprintf("%d %s looked up in one request, %d stored", api.MaxLookupKeys, of.name, b.held), milliseconds(median(took)), atMost(300),
			"the bare statement on as many outputs: "+milliseconds(bare).String())
	}
	return nil
}

// keysToLookUp returns distinct keys all over what is stored, and how many of them are.
func (b *bench) keysToLookUp(round uint64, key func(n uint64) string) (keys []string, stored int) {
	outputs := b.whole() - 3
	among := max(outputs, api.MaxLookupKeys)
	for i := range uint64(api.MaxLookupKeys) {
		n := (round*31 + i*(among/api.MaxLookupKeys)) % among
		if n < outputs {
			stored++
		} else {
			n += 1 << 40 // which nobody has made
		}
		keys = append(keys, key(n))
	}
	return keys, stored
}

func countKnown(answer *api.Lookups) (known int) {
	for _, key := range answer.Keys {
		if key.State == api.KeyKnown {
			known++
		}
	}
	return known
}

// bareLookup measures reading 10,000 rows by their hashes, and nothing else, from a table that
// has the columns of the index's verdicts.
func bareLookup(ctx context.Context, dir string, outputs uint64) (took time.Duration, err error) {
	engine, err := chdb.Open(ctx, chdb.Config{Path: dir})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	conn, err := clickhouse.Open(engine.Options("default"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, statement := range []string{
		"CREATE DATABASE bench ENGINE = Atomic",
		`CREATE TABLE bench.verdicts (
			hash UInt64 CODEC(Delta, LZ4), rest FixedString(12) CODEC(NONE), version UInt64, output UInt32, verdict UInt8, claims String CODEC(ZSTD(1))
		) ENGINE = ReplacingMergeTree(version) PRIMARY KEY hash ORDER BY (hash, rest)
		SETTINGS index_granularity = 32, min_compress_block_size = 1024`,
		fmt.Sprintf(`INSERT INTO bench.verdicts SELECT sipHash64(toUInt64(number)), toFixedString(unhex(substring(hex(SHA256(toString(number))), 1, 24)), 12),
			number, number, 2, concat(unhex(hex(SHA256(toString(number)))), repeat('claim', 4)) FROM numbers(%d)`, outputs),
		"OPTIMIZE TABLE bench.verdicts FINAL",
	} {
		if err := conn.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	var rounds []time.Duration
	for round := range lookupRounds {
		begin := time.Now()
		var rows, bytes uint64
		if err := conn.QueryRow(ctx, fmt.Sprintf(`SELECT count(), sum(length(claims)) FROM bench.verdicts WHERE hash IN (
			SELECT sipHash64(toUInt64((number * %d + %d) %% %d)) FROM numbers(%d))`, max(outputs/api.MaxLookupKeys, 1), round*31, max(outputs, 1), api.MaxLookupKeys)).Scan(&rows, &bytes); err != nil {
			return 0, err
		}
		if rows == 0 {
			return 0, errors.New("the bare statement reads nothing")
		}
		rounds = append(rounds, time.Since(begin))
	}
	return median(rounds), nil
}
