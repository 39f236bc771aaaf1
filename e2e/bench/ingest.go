package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// bare are the costs of the parts alone, per output, with all cores.
type bare struct{ open, append, insert time.Duration }

// ingest measures the way in and the way to verdicts with bundles of 100 outputs,
// and the way in with bundles of one.
func (b *bench) ingest(ctx context.Context) error {
	bundles, _, err := b.filled.make(ctx, b.sample/builders, 100)
	if err != nil {
		return err
	}
	if b.bare == (bare{}) {
		if err := b.limits(ctx, bundles[:len(bundles)/4]); err != nil {
			return err
		}
	}
	if err := b.throughput(ctx, bundles); err != nil {
		return err
	}
	return b.single(ctx)
}

// limits measures the parts alone, on some of the same statements.
func (b *bench) limits(ctx context.Context, bundles [][]byte) error {
	outputs := len(bundles) * 100
	took, err := b.filled.openAll(bundles)
	if err != nil {
		return err
	}
	b.bare.open = took / time.Duration(outputs)
	if took, err = b.bareAppend(ctx, bundles); err != nil {
		return err
	}
	b.bare.append = took / time.Duration(outputs)
	if b.bare.insert, err = bareInsert(ctx, filepath.Join(b.tmp, "insert"), outputs); err != nil {
		return err
	}
	b.report.add("bare: open (verify + decode), all cores", perSecond(1, b.bare.open, "outputs"), noGoal(), "")
	b.report.add("bare: append to a ledger", perSecond(1, b.bare.append, "outputs"), noGoal(), "")
	b.report.add("bare: insert observation rows", perSecond(1, b.bare.insert, "outputs"), noGoal(), "")
	return nil
}

func (b *bench) throughput(ctx context.Context, bundles [][]byte) error {
	begin := time.Now()
	durable, err := b.filled.submit(ctx, bundles)
	if err != nil {
		return err
	}
	if err := b.filled.settled(ctx); err != nil {
		return err
	}
	judged := time.Since(begin)
	b.most = int(rate(b.sample, judged))
	b.report.add(fmt.Sprintf("durable, verified, over HTTP, 100 outputs a bundle, %d stored", b.held), perSecond(b.sample, durable, "outputs"), atLeast(100_000),
		share(b.sample, durable, b.bare.open+b.bare.append, "open + append"))
	b.report.add(fmt.Sprintf("to judged verdicts, %d stored", b.held), perSecond(b.sample, judged, "outputs"), atLeast(40_000),
		share(b.sample, judged, b.bare.open+b.bare.append+b.bare.insert, "open + append + insert"))
	return nil
}

// share says how near n outputs came to what the parts cost alone.
func share(n int, took, each time.Duration, parts string) string {
	return fmt.Sprintf("%.0f %% of %s (%s)", 100*float64(each)*float64(n)/float64(took), parts, perSecond(1, each, "outputs"))
}

func (b *bench) single(ctx context.Context) error {
	bundles, _, err := b.filled.make(ctx, max(b.sample/250, 1000), 1)
	if err != nil {
		return err
	}
	took, err := b.filled.submit(ctx, bundles)
	if err != nil {
		return err
	}
	open, err := b.filled.openAll(bundles)
	if err != nil {
		return err
	}
	b.report.add("durable, one output a bundle", perSecond(len(bundles), took, "bundles"), atLeast(2000),
		"open alone: "+perSecond(len(bundles), open, "bundles").String())
	return b.filled.settled(ctx)
}

// openAll verifies and decodes the builders' bundles and does nothing else, with
// all cores.
func (s *site) openAll(bundles [][]byte) (time.Duration, error) {
	keys := map[signing.BuilderID]signing.Key{}
	for _, builder := range s.builders {
		keys[builder.signer.Public().Builder()] = signing.Key{PublicKey: builder.signer.Public()}
	}
	lookup := func(id signing.BuilderID) (signing.Key, error) { return keys[id], nil }
	begin := time.Now()
	err := inParallel(bundles, func(bundle []byte) error {
		_, err := sigstore.Open(bundle, lookup, begin)
		return err
	})
	return time.Since(begin), err
}

func inParallel(bundles [][]byte, do func([]byte) error) error {
	var group errgroup.Group
	group.SetLimit(64)
	for _, bundle := range bundles {
		group.Go(func() error { return do(bundle) })
	}
	return group.Wait()
}

func (b *bench) bareAppend(ctx context.Context, bundles [][]byte) (time.Duration, error) {
	dir := filepath.Join(b.tmp, "append")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, err
	}
	key, err := writer.LoadOrCreateKey(filepath.Join(dir, "key"), "bench")
	if err != nil {
		return 0, err
	}
	log, err := writer.Open(ctx, writer.Config{Dir: filepath.Join(dir, "log"), Key: key})
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := inParallel(bundles, func(bundle []byte) error {
		_, err := log.Append(ctx, ledger.Attestation, bundle)
		return err
	}); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	return took, log.Close(ctx)
}
