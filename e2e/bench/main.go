// Command bench is what `make bench` runs: it measures the real programs, and
// prints each figure beside its goal and, where there is one, beside the limit
// measured in the same run.
//
// It uses one machine for the server and the load, as its user has it.
// The stored observations are real signed statements that went the whole way.
//
// The figures are taken in steps, which can be had alone (--only). With --keep the
// stored observations stay in the data directory, and the next run with --keep
// measures on them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"repronet.dev/e2e/network"
)

func main() {
	b := bench{out: os.Stdout}
	bin := flag.String("bin", "bin", "`directory` of the programs")
	flag.StringVar(&b.dir, "data", "run/bench", "`directory` for data, removed at the end")
	flag.BoolVar(&b.keep, "keep", false, "keep the stored observations, and use those that were kept")
	short := flag.Bool("short", false, "the short form: everything, small")
	stored := flag.Int("stored", 0, "`observations` to store before measuring (default 10,000,000, short 200,000)")
	only := flag.String("only", "", "`steps` to take, separated by commas, of: "+strings.Join(b.names(), ", "))
	flag.Parse()
	b.sizes = full
	if *short {
		b.sizes = small
	}
	if *stored > 0 {
		b.stored = *stored
	}
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// sizes say how much work is done.
type sizes struct {
	stored    int           // observations before anything is measured
	sample    int           // observations in a measurement
	latencies int           // submissions that are timed
	requests  int           // of a page, a proof or a narinfo
	closure   int           // outputs of a closure
	mapped    int           // outputs of the map that is built directly
	tree      int64         // bytes that are hashed
	idle      time.Duration // until a reporter is idle
	releases  []string      // of Bitcoin Core, whose documents are relayed, as patterns
	compacted bool          // wait for the index to be compacted
}

var (
	full = sizes{
		stored: 10_000_000, sample: 1_000_000, latencies: 100, requests: 1000, closure: 3359, mapped: 10_000_000,
		tree: 1 << 30, idle: 15 * time.Second, releases: []string{"*"}, compacted: true,
	}
	small = sizes{
		stored: 200_000, sample: 100_000, latencies: 20, requests: 200, closure: 3359, mapped: 200_000,
		tree: 64 << 20, idle: 3 * time.Second, releases: []string{"*"},
	}
)

type bench struct {
	sizes
	dir      string
	keep     bool
	only     []string // steps; none: all
	out      io.Writer
	programs network.Programs
	report   report

	filled *site  // with the stored observations, if a step needs them
	held   uint64 // observations in it
	bare   bare   // costs of the parts of the ingest
	most   int    // outputs a second that were judged; 0: not measured
	tmp    string // for what is not kept
}

// A step takes some of the figures.
type step struct {
	name   string
	stored bool // on the stored observations
	limit  time.Duration
	run    func(context.Context) error
}

func (b *bench) steps() []step {
	return []step{
		{"ingest", true, 20 * time.Minute, b.ingest},
		{"latency", true, 10 * time.Minute, b.latency},
		{"pages", true, 10 * time.Minute, b.pages},
		{"lookup", true, 10 * time.Minute, b.lookup},
		{"questions", true, 20 * time.Minute, b.questions},
		{"footprint", true, 15 * time.Minute, b.footprint},
		{"reporter", true, 10 * time.Minute, b.reporter},
		{"replay", true, 30 * time.Minute, b.replay},
		{"follow", true, 30 * time.Minute, b.follow},
		{"light", true, 20 * time.Minute, b.light},
		{"closure", false, 10 * time.Minute, b.closures},
		{"gate", false, 10 * time.Minute, b.gate},
		{"relay", false, 5 * time.Minute, b.relay},
		{"map", false, 5 * time.Minute, b.directMap},
	}
}

func (b *bench) names() (names []string) {
	for _, s := range b.steps() {
		names = append(names, s.name)
	}
	return names
}

func (b *bench) run(ctx context.Context, bin string) (err error) {
	for _, name := range b.only {
		if !slices.Contains(b.names(), name) {
			return fmt.Errorf("--only: there is no step %q, but: %s", name, strings.Join(b.names(), ", "))
		}
	}
	for _, path := range []*string{&bin, &b.dir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	b.programs = network.Programs(bin)
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clean()) }()
	err = b.measure(ctx)
	progress("")
	return errors.Join(err, b.report.print(b.out))
}

// keptName is a file in a data directory that is kept.
const keptName = "kept"

// prepare makes the data directory.
func (b *bench) prepare() error {
	_, err := os.Stat(filepath.Join(b.dir, keptName))
	switch {
	case b.keep:
	case err == nil:
		return fmt.Errorf("%s has observations that were kept: measure on them with --keep, or remove it", b.dir)
	default:
		if err := os.RemoveAll(b.dir); err != nil {
			return err
		}
	}
	b.tmp = filepath.Join(b.dir, "tmp")
	if err := errors.Join(os.RemoveAll(b.tmp), os.MkdirAll(b.tmp, 0o750)); err != nil {
		return err
	}
	if !b.keep {
		return nil
	}
	return os.WriteFile(filepath.Join(b.dir, keptName), []byte("Kept by bench --keep.\n"), 0o600)
}

func (b *bench) clean() error {
	if b.keep {
		return os.RemoveAll(b.tmp)
	}
	return os.RemoveAll(b.dir)
}

// measure takes the steps. One that goes wrong does not keep the others from being
// taken.
func (b *bench) measure(ctx context.Context) (err error) {
	var stored, fresh []step
	for _, s := range b.steps() {
		if len(b.only) > 0 && !slices.Contains(b.only, s.name) {
			continue
		}
		if s.stored {
			stored = append(stored, s)
		} else {
			fresh = append(fresh, s)
		}
	}
	if len(stored) > 0 {
		if b.filled, err = b.open(ctx, b.dir, builders); err != nil {
			return err
		}
		if err = b.onTheWay(ctx, stored); err == nil {
			err = b.fill(ctx, b.stored)
		}
		if err == nil {
			err = b.take(ctx, stored)
		}
		if err = errors.Join(err, b.filled.Stop()); ctx.Err() != nil {
			return err
		}
	}
	return errors.Join(err, b.take(ctx, fresh))
}

// onTheWay takes the steps that should hardly depend on what is stored at smaller
// sizes too, while the data directory is filled: of 10 M observations the pages at
// 1 M, of 60 M the ingest at 10 M.
func (b *bench) onTheWay(ctx context.Context, wanted []step) error {
	if err := b.count(ctx); err != nil {
		return err
	}
	for _, at := range []struct {
		stored int
		steps  []string
	}{{b.stored / 10, []string{"pages"}}, {b.stored / 6, []string{"ingest"}}} {
		if uint64(at.stored) < b.held {
			continue
		}
		if err := b.fill(ctx, at.stored); err != nil {
			return err
		}
		steps := slices.DeleteFunc(slices.Clone(wanted), func(s step) bool { return !slices.Contains(at.steps, s.name) })
		if err := b.take(ctx, steps); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) take(ctx context.Context, steps []step) (err error) {
	for _, s := range steps {
		progress("%s …", s.name)
		within, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("it took longer than %s", s.limit))
		if stepErr := s.run(within); stepErr != nil {
			if within.Err() != nil {
				stepErr = context.Cause(within)
			}
			b.report.missing(s.name, "it went wrong")
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, stepErr))
		}
		cancel()
		if ctx.Err() != nil {
			break
		}
	}
	return err
}
