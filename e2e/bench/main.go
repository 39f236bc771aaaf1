// Command bench is what `make bench` runs: it measures a real aggregator and a
// real reporter, and prints each figure beside its goal and, where there is one,
// beside the limit measured in the same run.
//
// It uses one machine for the server and the load, as whoever runs it has it.
// The stored observations are real signed statements that went the whole way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"repronet/e2e/network"
)

func main() {
	var b bench
	flag.IntVar(&b.stored, "stored", 10_000_000, "`observations` to store before measuring")
	flag.IntVar(&b.sample, "sample", 1_000_000, "`observations` in each measurement")
	flag.StringVar(&b.dir, "dir", "run/bench", "`directory` for data, removed at the end")
	bin := flag.String("bin", "bin", "`directory` of the programs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

type bench struct {
	stored, sample int
	dir            string
	report         report
	bare           bare
	aggregator     *network.Aggregator
	builders       []*builder
	made           int // statements made so far, in all
}

func (b *bench) run(ctx context.Context, bin string) (err error) {
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o750); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	programs := network.Programs(bin)
	if err := b.startAggregator(ctx, programs); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.aggregator.Stop()) }()
	for _, part := range []func(context.Context) error{
		b.fill, b.limits, b.throughput, b.single, b.latency, b.pages, b.footprint,
		func(ctx context.Context) error { return b.reporter(ctx, programs) },
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	b.report.print(os.Stdout)
	return nil
}

func (b *bench) startAggregator(ctx context.Context, programs network.Programs) error {
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		return err
	}
	a, err := network.StartAggregator(context.WithoutCancel(ctx), programs, filepath.Join(b.dir, "aggregator"), log,
		"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms")
	if err != nil {
		return err
	}
	b.aggregator = a
	b.builders, err = enrolBuilders(ctx, a, b.dir, 5)
	return err
}

// progress prints a line that replaces itself.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...) }

func rate(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }
