package main

import (
	"context"
	"errors"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/internal/chdb"
)

// bareInsert measures the cost of writing one observation to the engine and
// doing nothing else: rows of the index's observations table, in its batches.
func bareInsert(ctx context.Context, dir string, rows int) (cost time.Duration, err error) {
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
		`CREATE TABLE bench.observations (
			output UInt32 CODEC(Delta, ZSTD(1)), log_index UInt64 CODEC(Delta, ZSTD(1)),
			builder UInt32 CODEC(ZSTD(1)), digest FixedString(32) CODEC(ZSTD(1))
		) ENGINE = ReplacingMergeTree ORDER BY (output, log_index) SETTINGS index_granularity = 1024`,
	} {
		if err := conn.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	const batchRows = 65_536
	begin := time.Now()
	for first := 0; first < rows; first += batchRows {
		n := min(batchRows, rows-first)
		output, index, builder, digest := make([]uint32, n), make([]uint64, n), make([]uint32, n), make([][]byte, n)
		for i := range n {
			d := digestOf(uint64(first+i), 0)
			output[i], index[i], builder[i], digest[i] = uint32((first+i)*7919), uint64(first+i), uint32(i%5), d[:]
		}
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO bench.observations (output, log_index, builder, digest)")
		if err != nil {
			return 0, err
		}
		for i, column := range []any{output, index, builder, digest} {
			if err := batch.Column(i).Append(column); err != nil {
				return 0, err
			}
		}
		if err := batch.Send(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin) / time.Duration(rows), nil
}
