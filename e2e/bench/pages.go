package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pages measures the pages that people look at most, one after another.
func (b *bench) pages(ctx context.Context) error {
	if err := b.publishMaintained(ctx); err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	// The least that this server answers with.
	least, err := b.ask(ctx, client, func(int) string { return "/healthz/live" })
	if err != nil {
		return err
	}
	build := func(i int) string {
		return "/builds/" + strings.TrimPrefix(outputPath(uint64(i)*7919%b.whole()), "/") + ".drv"
	}
	name := func(i int) string { return fmt.Sprintf("package%d", uint64(i)*7919%min(50_000, b.whole())) }
	for _, page := range []struct {
		name    string
		address func(i int) string
		goal    goal
	}{
		{"overview", func(int) string { return "/" }, atMost(100)},
		{"build page", build, atMost(100)},
		{"divergences", func(int) string { return "/divergences" }, noGoal()},
		{"packages", func(int) string { return "/packages" }, atMost(100)},
		{"package", func(i int) string { return "/packages/" + name(i) }, atMost(100)},
		{"maintainers", func(int) string { return "/maintainers" }, atMost(100)},
		{"maintainer", func(i int) string { return "/maintainers/" + maintainer(i) }, atMost(100)},
		{"search", func(i int) string { return "/search?q=" + name(i) }, atMost(150)},
		{"builders", func(int) string { return "/builders" }, noGoal()},
	} {
		took, err := b.ask(ctx, client, page.address)
		if err != nil {
			return err
		}
		b.report.add(fmt.Sprintf("%s, p99, %d stored", page.name, b.held), milliseconds(p99(took)), page.goal,
			fmt.Sprintf("median %s; /healthz: %s", milliseconds(median(took)), milliseconds(p99(least))))
	}
	return nil
}

// ask times requests to the aggregator, one after another.
func (b *bench) ask(ctx context.Context, client *http.Client, path func(i int) string) (took []time.Duration, err error) {
	for i := range b.requests {
		begin := time.Now()
		if _, err := fetch(ctx, client, b.filled.URL+path(i)); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// footprint measures memory and disk.
func (b *bench) footprint(ctx context.Context) error {
	s, err := b.filled.summary(ctx)
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.filled.PID()))
	if err != nil {
		return err
	}
	b.report.add("aggregator's RSS, with the embedded engine", megabytes(field(status, "VmRSS:")), atMost(800), "")
	index, err := b.settledIndex(ctx)
	if err != nil {
		return err
	}
	directory, err := treeSize(filepath.Join(b.filled.Data, "index"))
	if err != nil {
		return err
	}
	log, err := treeSize(filepath.Join(b.filled.Data, "ledger"))
	if err != nil {
		return err
	}
	each := func(bytes float64) quantity { return quantity{bytes / float64(s.Observations), "B/observation"} }
	goal, limit := atMost(40), ""
	if !b.compacted {
		goal, limit = noGoal(), "not compacted yet; "
	}
	limit += "with parts that were merged and are removed minutes later: " + each(float64(directory)).String()
	b.report.add("index on disk", each(index), goal, limit)
	b.report.add("ledger on disk", each(float64(log)), noGoal(), "")
	return nil
}

// settledIndex is the size of the index when the engine has merged what was
// written: when it stops shrinking, after the roll-up that compacts it.
func (b *bench) settledIndex(ctx context.Context) (size float64, err error) {
	const step = time.Minute
	for deadline := time.Now().Add(12 * step); ; {
		before := size
		metrics, err := b.filled.get(ctx, "/metrics")
		if err != nil {
			return 0, err
		}
		if size = gauge(metrics, "repronet_index_bytes"); size == 0 {
			return 0, errors.New("/metrics does not say what the index takes")
		}
		settled := gauge(metrics, "repronet_rolled_up") == gauge(metrics, "repronet_indexed") && size >= 0.99*before && before > 0
		if settled || !b.compacted || time.Now().After(deadline) {
			return size, nil
		}
		progress("waiting for the index to be compacted, %.0f MB", size/1e6)
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// gauge reads a number from what the aggregator says of itself: the sum over all
// labels.
func gauge(metrics []byte, name string) (sum float64) {
	for line := range strings.Lines(string(metrics)) {
		series, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if of, _, _ := strings.Cut(series, "{"); of == name {
			n, _ := strconv.ParseFloat(number, 64)
			sum += n
		}
	}
	return sum
}

// field reads a number of bytes from /proc/PID/status, which has it in KiB.
func field(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
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
