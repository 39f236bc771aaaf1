package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// replay measures what an auditor waits for: the copy of the ledger, every verdict
// computed from it, and these compared with what is published.
func (b *bench) replay(ctx context.Context) error {
	if err := b.filled.published(ctx); err != nil {
		return err
	}
	c, err := newChecker(ctx, b.programs, filepath.Join(b.tmp, "replay"), b.filled.URL)
	if err != nil {
		return err
	}
	opened, err := b.openStored(ctx)
	if err != nil {
		return err
	}
	progress("copying the ledger")
	copied, err := c.run(ctx, "mirror", "--mirror", c.path("mirror"))
	if err != nil {
		return err
	}
	progress("replaying")
	replayed, n, err := c.replay(ctx, c.dir)
	if err != nil {
		return err
	}
	bare := "open of the same entries alone: " + opened.String()
	b.report.add("mirror: fetched, checked and indexed", perSecond(n, copied.took, "observations"), noGoal(), copied.costs(n))
	b.report.add(fmt.Sprintf("replay of %d observations", n), perSecond(n, replayed.took, "observations"), atLeast(200_000), replayed.costs(n)+"; "+bare)
	b.report.add("replay: peak RSS", mebibytes(replayed.peak), atMost(1024), "")
	if err := b.snapshot(ctx, c, n, replayed); err != nil {
		return err
	}
	progress("replaying and comparing")
	compared, n, err := c.replay(ctx, c.dir, "--aggregator", b.filled.URL)
	if err != nil {
		return err
	}
	b.report.add("replay, compared with all that is published: identical", perSecond(n, compared.took, "observations"), noGoal(), compared.costs(n))
	return nil
}

func (r *ran) costs(observations int) string {
	return fmt.Sprintf("CPU %.1f µs/observation; peak RSS %s", float64(r.cpu.Nanoseconds())/1e3/float64(observations), mebibytes(r.peak))
}

// replay computes all verdicts from the mirror, and returns of how many
// observations.
func (c *checker) replay(ctx context.Context, tmp string, args ...string) (*ran, int, error) {
	r, err := c.run(ctx, "replay", append([]string{"--mirror", c.path("mirror"), "--tmp", tmp, "--json"}, args...)...)
	if err != nil {
		return nil, 0, err
	}
	var result struct {
		Observations int `json:"observations"`
		Difference   any `json:"difference"`
	}
	if err := json.Unmarshal(r.stdout, &result); err != nil {
		return nil, 0, err
	}
	if r.status != 0 || result.Observations == 0 {
		return nil, 0, fmt.Errorf("replay says %s", r.stdout)
	}
	return r, result.Observations, nil
}

// openStored decodes and verifies some of the stored entries, evenly spread, and
// does nothing else, with all cores.
func (b *bench) openStored(ctx context.Context) (quantity, error) {
	key, err := b.filled.logKey(ctx)
	if err != nil {
		return quantity{}, err
	}
	reader := ledger.NewReader(ledger.Dir(filepath.Join(b.filled.Data, "ledger")), key)
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		return quantity{}, err
	}
	tree := reader.Tree(checkpoint)
	const bundles, width = 40, 256
	var records []ledger.Record
	whole := checkpoint.Size / width
	for i := uint64(0); i < whole; i += whole/bundles + 1 {
		part, err := tree.Bundle(ctx, i)
		if err != nil {
			return quantity{}, err
		}
		records = append(records, part...)
	}
	keys := map[signing.BuilderID]signing.Key{}
	for _, builder := range b.filled.builders {
		keys[builder.signer.Public().Builder()] = signing.Key{PublicKey: builder.signer.Public()}
	}
	lookup := func(id signing.BuilderID) (signing.Key, error) { return keys[id], nil }
	var observations atomic.Int64
	var group errgroup.Group
	group.SetLimit(64)
	begin := time.Now()
	for _, record := range records {
		group.Go(func() error {
			entry, err := record.Entry()
			if err != nil || entry.Kind != ledger.Attestation {
				return err
			}
			verified, err := sigstore.Open(entry.Body, lookup, entry.ReceivedAt)
			if err == nil {
				observations.Add(int64(len(verified.Statement().Subjects)))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return quantity{}, err
	}
	return perSecond(int(observations.Load()), time.Since(begin), "observations"), nil
}
