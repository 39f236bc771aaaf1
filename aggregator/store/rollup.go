package store

import (
	"context"
	"fmt"
	"strconv"

	"repronet.dev/divergence"
)

// A RollUp is what is computed over all outputs now and then.
type RollUp struct {
	Version    uint64 // the watermark at which it was made
	Agreement  []Agreement
	Verdicts   map[uint32]Counts // by builder, of the outputs that it claims
	OddStreams []Stream          // those with forks or gaps
	Copying    []Copying
}

// A Copying says that an operator seems to copy from another, by their numbers.
type Copying struct {
	Operator, Source uint32
	Common, Same     uint64   // outputs where others scatter: that both claim, and alike
	Outputs          []uint32 // some of those alike
}

// RolledUp returns the version of the newest roll-up, 0 if there is none.
func (t *Tables) RolledUp(ctx context.Context) (version uint64, err error) {
	if err := t.conn.QueryRow(ctx, `SELECT max(version) FROM rollups`).Scan(&version); err != nil {
		return 0, fmt.Errorf("reading the newest roll-up: %w", err)
	}
	return version, nil
}

// WriteRollUp makes r the newest roll-up. The one before stays until the next, for
// those who read it.
func (t *Tables) WriteRollUp(ctx context.Context, r *RollUp) error {
	version := func() uint64 { return r.Version }
	type builder struct {
		number uint32
		counts Counts
	}
	var builders []builder
	for number, counts := range r.Verdicts {
		builders = append(builders, builder{number, counts})
	}
	of := func(v divergence.Verdict) func(*builder) uint64 {
		return func(b *builder) uint64 { return b.counts[v] }
	}
	err := insert(ctx, t.conn, "agreement", []column[Agreement]{
		col("version", "UInt64", func(*Agreement) uint64 { return version() }),
		col("a", "UInt32", func(a *Agreement) uint32 { return a.A }),
		col("b", "UInt32", func(a *Agreement) uint32 { return a.B }),
		col("common", "UInt64", func(a *Agreement) uint64 { return a.Common }),
		col("agree", "UInt64", func(a *Agreement) uint64 { return a.Agree }),
	}, r.Agreement)
	if err == nil {
		err = insert(ctx, t.conn, "builder_verdicts", []column[builder]{
			col("version", "UInt64", func(*builder) uint64 { return version() }),
			col("builder", "UInt32", func(b *builder) uint32 { return b.number }),
			col("unbuilt", "UInt64", of(divergence.Unbuilt)),
			col("single", "UInt64", of(divergence.Single)),
			col("reproduced", "UInt64", of(divergence.Reproduced)),
			col("diverged", "UInt64", of(divergence.Diverged)),
		}, builders)
	}
	if err == nil {
		err = insert(ctx, t.conn, "odd_streams", []column[Stream]{
			col("version", "UInt64", func(*Stream) uint64 { return version() }),
			col("builder", "UInt32", func(s *Stream) uint32 { return s.Builder }),
			col("stream", "FixedString(16)", func(s *Stream) []byte { return s.ID[:] }),
			col("statements", "UInt64", func(s *Stream) uint64 { return s.Statements }),
			col("last", "UInt64", func(s *Stream) uint64 { return s.Last }),
			col("missing", "UInt64", func(s *Stream) uint64 { return s.Missing }),
			col("forks", "Array(UInt64)", func(s *Stream) []uint64 { return s.Forks }),
		}, r.OddStreams)
	}
	if err == nil {
		err = insert(ctx, t.conn, "copying", []column[Copying]{
			col("version", "UInt64", func(*Copying) uint64 { return version() }),
			col("operator", "UInt32", func(c *Copying) uint32 { return c.Operator }),
			col("source", "UInt32", func(c *Copying) uint32 { return c.Source }),
			col("common", "UInt64", func(c *Copying) uint64 { return c.Common }),
			col("same", "UInt64", func(c *Copying) uint64 { return c.Same }),
			col("outputs", "Array(UInt32)", func(c *Copying) []uint32 { return c.Outputs }),
		}, r.Copying)
	}
	before, beforeErr := t.RolledUp(ctx)
	if err == nil {
		err = beforeErr
	}
	if err == nil {
		err = insert(ctx, t.conn, "rollups", []column[uint64]{col("version", "UInt64", func(v *uint64) uint64 { return *v })}, []uint64{r.Version})
	}
	if err != nil {
		return fmt.Errorf("writing a roll-up: %w", err)
	}
	for _, table := range []string{"rollups", "agreement", "builder_verdicts", "odd_streams", "copying"} {
		statement := "ALTER TABLE " + table + " DELETE WHERE version < " + strconv.FormatUint(before, 10)
		if err := t.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("removing earlier roll-ups: %w", err)
		}
	}
	return nil
}

// Compact merges the tables whose rows are replaced often, if they hold more than
// ratio rows for each output. ClickHouse merges by itself, but leaves about twice
// the rows that there need be.
func (t *Tables) Compact(ctx context.Context, outputs uint32, ratio float64) error {
	var rows uint64
	if err := t.conn.QueryRow(ctx, `SELECT sum(rows) FROM system.parts
		WHERE database = currentDatabase() AND table = 'verdicts' AND active`).Scan(&rows); err != nil {
		return fmt.Errorf("compacting the index: %w", err)
	}
	if float64(rows) <= ratio*float64(outputs) {
		return nil
	}
	for _, table := range []string{"verdicts", "builds", "observations"} {
		if err := t.conn.Exec(ctx, "OPTIMIZE TABLE "+table+" FINAL SETTINGS optimize_skip_merged_partitions = 1"); err != nil {
			return fmt.Errorf("compacting %s: %w", table, err)
		}
	}
	return nil
}
