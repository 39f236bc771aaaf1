package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"repronet/internal/wire"
	"repronet/ledger"
	ledgerlog "repronet/ledger/append"
	"repronet/signing"
)

// bare are the costs of the parts alone, per output, with all cores.
type bare struct{ open, append, insert time.Duration }

func (c bare) perSecond() float64 { return float64(time.Second) / float64(c.open+c.append+c.insert) }

// throughput measures the way in and the way to verdicts with bundles of 100
// outputs.
func (b *bench) throughput(ctx context.Context) error {
	bundles, err := b.make(ctx, b.sample, 100)
	if err != nil {
		return err
	}
	begin := time.Now()
	durable, err := b.submit(ctx, bundles)
	if err != nil {
		return err
	}
	if err := b.settled(ctx); err != nil {
		return err
	}
	judged := time.Since(begin)
	limit := fmt.Sprintf("%.0f %% of open + append (%.0f/s)", 100*rate(b.sample, durable)/(float64(time.Second)/float64(b.bare.open+b.bare.append)),
		float64(time.Second)/float64(b.bare.open+b.bare.append))
	b.report.add("durable, verified, over HTTP, 100 outputs a bundle", perSecond(rate(b.sample, durable), "outputs"), "100000", limit)
	b.report.add(fmt.Sprintf("to judged verdicts, %d stored", b.stored), perSecond(rate(b.sample, judged), "outputs"), "40000",
		fmt.Sprintf("%.0f %% of open + append + insert (%.0f/s)", 100*rate(b.sample, judged)/b.bare.perSecond(), b.bare.perSecond()))
	return nil
}

// single measures bundles of one output.
func (b *bench) single(ctx context.Context) error {
	n := max(b.sample/50, 5000)
	bundles, err := b.make(ctx, n, 1)
	if err != nil {
		return err
	}
	took, err := b.submit(ctx, bundles)
	if err != nil {
		return err
	}
	b.report.add("durable, one output a bundle", perSecond(rate(len(bundles), took), "bundles"), "2000", "")
	return b.settled(ctx)
}

// limits measures the parts alone, on the same kind of statements.
func (b *bench) limits(ctx context.Context) error {
	bundles, err := b.make(ctx, b.sample/4, 100)
	if err != nil {
		return err
	}
	outputs := len(bundles) * 100
	keys := map[signing.BuilderID]signing.Key{}
	for _, builder := range b.builders {
		keys[builder.signer.Public().Builder()] = signing.Key{PublicKey: builder.signer.Public()}
	}
	lookup := func(id signing.BuilderID) (signing.Key, error) { return keys[id], nil }
	begin := time.Now()
	if err := inParallel(bundles, func(bundle []byte) error {
		_, err := signing.Open(bundle, lookup, begin)
		return err
	}); err != nil {
		return err
	}
	b.bare.open = time.Since(begin) / time.Duration(outputs)
	if b.bare.append, err = b.bareAppend(ctx, bundles, outputs); err != nil {
		return err
	}
	if b.bare.insert, err = bareInsert(ctx, filepath.Join(b.dir, "bare"), outputs); err != nil {
		return err
	}
	perSec := func(d time.Duration) string { return perSecond(float64(time.Second)/float64(d), "outputs") }
	b.report.add("bare: open (verify + decode), all cores", perSec(b.bare.open), "", "")
	b.report.add("bare: append to a ledger", perSec(b.bare.append), "", "")
	b.report.add("bare: insert observation rows", perSec(b.bare.insert), "", "")
	return nil
}

func inParallel(bundles [][]byte, do func([]byte) error) error {
	var group errgroup.Group
	group.SetLimit(64)
	for _, bundle := range bundles {
		group.Go(func() error { return do(bundle) })
	}
	return group.Wait()
}

func (b *bench) bareAppend(ctx context.Context, bundles [][]byte, outputs int) (time.Duration, error) {
	dir := filepath.Join(b.dir, "bare-log")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, err
	}
	key, err := ledgerlog.LoadOrCreateKey(filepath.Join(dir, "key"), "bench")
	if err != nil {
		return 0, err
	}
	log, err := ledgerlog.Open(ctx, ledgerlog.Config{Dir: filepath.Join(dir, "log"), Key: key})
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
	return took / time.Duration(outputs), log.Close(ctx)
}

// latency measures one submission to its verified receipt and to its visible
// verdict: idle, and with half of the greatest load beside it.
func (b *bench) latency(ctx context.Context) error {
	log, err := b.logKey(ctx)
	if err != nil {
		return err
	}
	if err := b.latencies(ctx, log, "idle"); err != nil {
		return err
	}
	load, stop := context.WithCancel(ctx)
	defer stop()
	bundles, err := b.make(ctx, b.sample, 100)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- b.pace(load, bundles, 20_000) }()
	err = b.latencies(ctx, log, "at half load")
	stop()
	if loadErr := <-ended; loadErr != nil && !errors.Is(loadErr, context.Canceled) {
		return loadErr
	}
	if err != nil {
		return err
	}
	return b.settled(ctx)
}

// pace submits bundles of 100 outputs at a rate of outputs a second until ctx
// ends or they are used up.
func (b *bench) pace(ctx context.Context, bundles [][]byte, outputs int) error {
	const tick = 100 * time.Millisecond
	n := max(1, outputs/100/int(time.Second/tick))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var group errgroup.Group
	for len(bundles) >= n {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-ticker.C:
		}
		part := bundles[:n]
		bundles = bundles[n:]
		group.Go(func() error { _, err := b.submit(ctx, part); return err })
	}
	return group.Wait()
}

func (b *bench) latencies(ctx context.Context, log note.Verifier, when string) error {
	const samples = 100
	var receipts, verdicts []time.Duration
	client := &http.Client{Timeout: time.Minute}
	for range samples {
		bundles, err := b.make(ctx, len(b.builders), 1)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := verifiedReceipt(ctx, client, b.aggregator.URL, bundles[0], log); err != nil {
			return err
		}
		receipts = append(receipts, time.Since(begin))
		if err := b.visible(ctx, client, outputPath(uint64(b.made-1))); err != nil {
			return err
		}
		verdicts = append(verdicts, time.Since(begin))
	}
	b.report.add("submission to verified receipt, p99, "+when, milliseconds(p99(receipts)), "1500 ms", "checkpoint every 250 ms")
	b.report.add("submission to visible verdict, p99, "+when, milliseconds(p99(verdicts)), "3000 ms", "")
	return nil
}

func verifiedReceipt(ctx context.Context, client *http.Client, base string, bundle []byte, log note.Verifier) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+wire.SubmitPath, strings.NewReader(string(bundle)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", wire.BundleType)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var result wire.Result
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
		return err
	}
	if result.Receipt == nil {
		return fmt.Errorf("no receipt: %s", response.Status)
	}
	_, err = result.Receipt.Verify(log)
	return err
}

// visible waits until an output is there to see.
func (b *bench) visible(ctx context.Context, client *http.Client, key string) error {
	for {
		status, err := get(ctx, client, b.aggregator.URL+"/api/v1/outputs?name="+url.QueryEscape(key))
		if err != nil {
			return err
		}
		if status == http.StatusOK {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func get(ctx context.Context, client *http.Client, address string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func (b *bench) logKey(ctx context.Context) (note.Verifier, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.aggregator.URL+wire.LogKeyPath, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(strings.TrimSpace(string(text)))
}

// pages measures the pages that people look at most, from several connections'
// point of view one after another.
func (b *bench) pages(ctx context.Context) error {
	client := &http.Client{Timeout: time.Minute}
	build := func(i int) string {
		return "/builds/" + strings.TrimPrefix(outputPath(uint64(i*7919%(b.stored/len(b.builders)))), "/") + ".drv"
	}
	for _, page := range []struct {
		name    string
		address func(i int) string
	}{
		{"overview", func(int) string { return "/" }},
		{"build page", build},
		{"divergences", func(int) string { return "/divergences" }},
		{"builders", func(int) string { return "/builders" }},
	} {
		var took []time.Duration
		for i := range 200 {
			begin := time.Now()
			status, err := get(ctx, client, b.aggregator.URL+page.address(i))
			if err != nil {
				return err
			}
			if status != http.StatusOK {
				return fmt.Errorf("%s: status %d", page.address(i), status)
			}
			took = append(took, time.Since(begin))
		}
		goal := ""
		if page.name == "overview" || page.name == "build page" {
			goal = "100 ms"
		}
		b.report.add(fmt.Sprintf("%s, p99, %d stored", page.name, b.stored), milliseconds(p99(took)), goal, "")
	}
	return nil
}

// footprint measures memory and disk.
func (b *bench) footprint(ctx context.Context) error {
	s, err := b.summary(ctx)
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.aggregator.PID()))
	if err != nil {
		return err
	}
	b.report.add("aggregator's RSS, with the embedded engine", fmt.Sprintf("%.0f MB", float64(field(status, "VmRSS:"))/1024), "800 MB", "")
	index, err := b.settledIndex(ctx)
	if err != nil {
		return err
	}
	log, err := treeSize(filepath.Join(b.aggregator.Data, "ledger"))
	if err != nil {
		return err
	}
	b.report.add("index on disk", fmt.Sprintf("%.1f B/observation", float64(index)/float64(s.Observations)), "40", "")
	b.report.add("ledger on disk", fmt.Sprintf("%.1f B/observation", float64(log)/float64(s.Observations)), "", "")
	return nil
}

// settledIndex is the size of the index when the engine has merged what was
// written and removed what it merged: when it stops shrinking, after the
// periodic roll-up that compacts it.
func (b *bench) settledIndex(ctx context.Context) (int64, error) {
	const rollUp = time.Minute
	dir := filepath.Join(b.aggregator.Data, "index")
	size, err := treeSize(dir)
	for deadline := time.Now().Add(10 * rollUp); err == nil && time.Now().Before(deadline); {
		progress("waiting for the index to be compacted, %.0f MB", float64(size)/1e6)
		select {
		case <-time.After(rollUp + rollUp/2):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		before := size
		if size, err = treeSize(dir); size*100 >= before*99 {
			break
		}
	}
	return size, err
}

// field reads a number of kB from /proc/PID/status.
func field(status []byte, name string) int {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

func treeSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // parts come and go while the engine works
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size, err
}
