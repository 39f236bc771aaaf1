// Command demo is what `make run` runs: an aggregator and three independent
// builders that really build a small package set and report it. It goes on until
// it is interrupted; what it collected is kept for the next start.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/cli"
)

func main() {
	var d demo
	flag.StringVar(&d.with, "with", "", "what to build: `nix` or go; by default Nix where it is there")
	flag.StringVar(&d.dir, "dir", "run/demo", "`directory` for everything that is made")
	flag.StringVar(&d.listen, "listen", "127.0.0.1:8080", "address of the dashboard")
	flag.StringVar(&d.set, "set", "e2e/nixset", "`directory` of the Nix package set")
	flag.StringVar(&d.bin, "bin", "bin", "`directory` of the three programs")
	flag.Parse()
	if d.with == "" {
		d.with = "go"
		if network.HasNix() {
			d.with = "nix"
		}
	}
	if d.with != "nix" && d.with != "go" {
		fmt.Fprintf(os.Stderr, "demo: --with takes nix or go, not %q\n", d.with)
		os.Exit(cli.Usage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := d.run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(cli.Failure)
	}
}

type demo struct {
	programs          network.Programs
	with, dir, listen string
	set, bin          string
}

// builders are three parties that know nothing of each other.
var builders = []string{"alice", "bob", "carol"}

func (d *demo) run(ctx context.Context) (err error) {
	for _, path := range []*string{&d.dir, &d.set, &d.bin} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	d.programs = network.Programs(d.bin)
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	say("starting the aggregator (messages of all programs: %s)", log.Name())
	// The server is stopped after the reporters, so it does not end with ctx.
	a, err := network.StartAggregator(context.WithoutCancel(ctx), d.programs, filepath.Join(d.dir, "aggregator"), log, "--listen", d.listen)
	if err != nil {
		return fmt.Errorf("%w\nthe end of %s may say why", err, log.Name())
	}
	defer func() { err = errors.Join(err, a.Stop()) }()
	say("the dashboard is at %s", a.URL)
	if err := d.build(ctx, a, log); err != nil {
		return err
	}
	say("all reported; look at %s (Ctrl-C ends everything, the data stays in %s)", a.URL, d.dir)
	select {
	case <-ctx.Done():
	case <-a.Ended():
		return errors.New("the aggregator ended by itself")
	}
	return nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "==> "+format+"\n", args...) }

// build has each builder build everything once, side by side.
func (d *demo) build(ctx context.Context, a *network.Aggregator, log io.Writer) error {
	if d.with == "nix" {
		if err := d.publishSet(ctx, a); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range builders {
		group.Go(func() error {
			home := filepath.Join(d.dir, name)
			r, err := network.NewReporter(ctx, a, filepath.Join(home, "reporter"), name, a.URL, d.report()...)
			if err != nil {
				return err
			}
			if d.with == "nix" {
				say("%s builds the package set with Nix, in a store of its own", name)
				var hook string
				if hook, err = r.InstallHook(ctx); err == nil {
					err = d.store(name, hook).Build(ctx, "", log)
				}
			} else {
				err = d.buildGo(ctx, r, name, log)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := r.Submit(ctx); err != nil {
				return err
			}
			say("%s has reported", name)
			return nil
		})
	}
	return group.Wait()
}

func (d *demo) report() []string {
	if d.with == "nix" {
		return []string{"--sets", "demo"}
	}
	return []string{"--report", "all"}
}

func (d *demo) store(name, hook string) *network.NixStore {
	return &network.NixStore{
		Root: filepath.Join(d.dir, name, "store"), Hook: hook,
		Set: d.set, Tools: filepath.Join(d.dir, "tools"),
	}
}

func (d *demo) publishSet(ctx context.Context, a *network.Aggregator) error {
	if err := network.PrepareTools(filepath.Join(d.dir, "tools")); err != nil {
		return err
	}
	lines, err := d.store(builders[0], "").EvalJobs(ctx)
	if err != nil {
		return err
	}
	list := filepath.Join(d.dir, "set.jsonl")
	if err := os.WriteFile(list, lines, 0o600); err != nil {
		return err
	}
	sum := sha256.Sum256(lines)
	revision := hex.EncodeToString(sum[:4])
	// A second start with the same set publishes nothing.
	published := filepath.Join(d.dir, "set-"+revision)
	if _, err := os.Stat(published); err == nil {
		return nil
	}
	if _, err := a.Command(ctx, "sets publish", "--revision", revision, "--from", list, "demo"); err != nil {
		return err
	}
	return os.WriteFile(published, nil, 0o600)
}

// buildGo builds the programs, unless this builder did so before.
func (d *demo) buildGo(ctx context.Context, r *network.Reporter, name string, log io.Writer) error {
	done := filepath.Join(d.dir, name, "built")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	say("%s builds real Go programs, in a directory of its own", name)
	for _, program := range network.GoPrograms() {
		if err := r.BuildGo(ctx, program, filepath.Join(d.dir, name, "src"), time.Now().Format(time.RFC3339Nano), log); err != nil {
			return err
		}
	}
	return os.WriteFile(done, nil, 0o600)
}
