package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"repronet.dev/e2e/network"
)

// follow measures how soon a new follower answers what the writer answers: when it has copied
// the ledger, checked it, and indexed it.
func (b *bench) follow(ctx context.Context) (err error) {
	if err := b.filled.published(ctx); err != nil {
		return err
	}
	key, err := b.filled.client().LogKey(ctx)
	if err != nil {
		return err
	}
	written, err := b.filled.summary(ctx)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.tmp, "follower")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	s := &site{dir: dir}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return err
	}
	begin := time.Now()
	s.Aggregator, err = network.StartAggregator(context.WithoutCancel(ctx), b.programs, filepath.Join(dir, "data"), s.log,
		"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms", "--follow", b.filled.URL, "--log-key", key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop(), os.RemoveAll(dir)) }()
	err = poll(ctx, 100*time.Millisecond, func() (bool, error) {
		sum, err := s.summary(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // it says so while it is far behind
		}
		progress("following: %d of %d entries", sum.Indexed, written.LedgerSize)
		return sum.Indexed >= written.LedgerSize, nil
	})
	if err != nil {
		return err
	}
	took := time.Since(begin)
	const inTime = 10_000_000 / 120 // a follower of ten million observations is there in two minutes
	b.report.add(fmt.Sprintf("new follower: %d observations copied, checked and indexed", written.Observations),
		perSecond(int(written.Observations), took, "observations"), atLeast(inTime), fmt.Sprintf("in %.1f s", took.Seconds()))
	return nil
}
