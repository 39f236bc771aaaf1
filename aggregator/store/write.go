package store

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// A Batch is what some entries of the ledger gave. Any field may be empty.
type Batch struct {
	Entries      []Entry
	Statements   []Statement
	Roster       []RosterEntry
	Ecosystems   []string
	Outputs      []OutputName
	Builds       []Pair
	Digests      []Pair
	Observations []Observation
	Withdrawals  []Withdrawal
	Documents    []Document
	Failures     []Failure
	Changes      []Change
	Divergences  []Divergence
	Builders     []BuilderStats
	Sets         []Set
	Members      []Member
	Counts       []DayCounts
	States       []State
	Watermark    *Watermark
}

// Write writes a batch, in the order that the package's documentation gives.
func (t *Tables) Write(ctx context.Context, b *Batch) error {
	steps, stepCtx := errgroup.WithContext(ctx)
	steps.SetLimit(4) // a few, because the engine's threads are the limit
	write(steps, stepCtx, t, "observations", observationColumns(), b.Observations)
	write(steps, stepCtx, t, "outputs", outputColumns(), b.Outputs)
	of, names := packagesOf(b.Outputs)
	write(steps, stepCtx, t, "package_outputs", packageOutputColumns(), of)
	write(steps, stepCtx, t, "packages", packageColumns(), names)
	write(steps, stepCtx, t, "builds", pairColumns("build"), b.Builds)
	write(steps, stepCtx, t, "digests", pairColumns("digest"), b.Digests)
	write(steps, stepCtx, t, "verdict_changes", changeColumns(), b.Changes)
	write(steps, stepCtx, t, "entries", entryColumns(), b.Entries)
	write(steps, stepCtx, t, "statements", statementColumns(), b.Statements)
	write(steps, stepCtx, t, "divergences", divergenceColumns(), b.Divergences)
	write(steps, stepCtx, t, "builders", builderColumns(), b.Builders)
	write(steps, stepCtx, t, "withdrawn", withdrawalColumns(), b.Withdrawals)
	write(steps, stepCtx, t, "documents", documentColumns(), b.Documents)
	write(steps, stepCtx, t, "failures", failureColumns(), b.Failures)
	write(steps, stepCtx, t, "ecosystems", ecosystemColumns(), b.Ecosystems)
	write(steps, stepCtx, t, "roster", rosterColumns(), b.Roster)
	write(steps, stepCtx, t, "sets", setColumns(), b.Sets)
	write(steps, stepCtx, t, "set_members", memberColumns(), b.Members)
	if err := steps.Wait(); err != nil {
		return err
	}
	if err := insert(ctx, t.conn, "counts", countColumns(), b.Counts); err != nil {
		return err
	}
	if err := insert(ctx, t.conn, "verdicts", stateColumns(), b.States); err != nil {
		return err
	}
	if b.Watermark == nil {
		return nil
	}
	return insert(ctx, t.conn, "watermark", watermarkColumns(), []Watermark{*b.Watermark})
}

func write[R any](steps *errgroup.Group, ctx context.Context, t *Tables, table string, columns []column[R], rows []R) {
	if len(rows) > 0 {
		steps.Go(func() error { return insert(ctx, t.conn, table, columns, rows) })
	}
}
