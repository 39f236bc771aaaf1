package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"repronet.dev/e2e/network"
)

// reporter measures what a volunteer's machine feels.
func (b *bench) reporter(ctx context.Context) error {
	info, err := os.Stat(b.programs.Reporter())
	if err != nil {
		return err
	}
	b.report.add("reporter's binary, with libp2p", megabytes(info.Size()), atMost(45), "")
	slim := filepath.Join(b.tmp, "slim")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nolibp2p", "-ldflags=-s -w", "-o", slim, "repronet.dev/cmd/repronet-reporter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the reporter without libp2p: %w\n%s", err, out)
	}
	if info, err = os.Stat(slim); err != nil {
		return err
	}
	b.report.add("reporter's binary, without libp2p", megabytes(info.Size()), atMost(25), "")
	r, err := network.NewReporter(ctx, b.filled.Aggregator, filepath.Join(b.tmp, "reporter"), "bench", b.filled.URL, "--report", "all")
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context, *network.Reporter) error{b.idle, b.hashing, b.hook} {
		if err := part(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// idle measures the memory of a reporter that has sent what it had and waits.
func (b *bench) idle(ctx context.Context, r *network.Reporter) error {
	command := exec.CommandContext(ctx, r.Programs.Reporter(), "run", "--dir", r.Dir)
	if err := command.Start(); err != nil {
		return err
	}
	time.Sleep(b.sizes.idle)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command.Process.Pid))
	if err != nil {
		return err
	}
	b.report.add("reporter's RSS, idle", megabytes(field(status, "VmRSS:")), atMost(25), "")
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = command.Wait() // a signal ended it
	return nil
}

// hashing compares attest with what Nix has for the same work.
func (b *bench) hashing(ctx context.Context, r *network.Reporter) error {
	tree := filepath.Join(b.tmp, "tree")
	if err := os.MkdirAll(tree, 0o750); err != nil {
		return err
	}
	for i := range 16 {
		f, err := os.Create(filepath.Join(tree, fmt.Sprintf("file-%d", i)))
		if err != nil {
			return err
		}
		if _, err := io.CopyN(f, rand.Reader, b.tree/16); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	attest := func() *exec.Cmd {
		return exec.CommandContext(ctx, r.Programs.Reporter(), "attest", "--dir", r.Dir, "--build", "bench/tree-1", "--output", "out="+tree)
	}
	dump := func() *exec.Cmd { return exec.CommandContext(ctx, "sh", "-c", "nix-store --dump "+tree+" | sha256sum") }
	ours, err := best(attest)
	if err != nil {
		return err
	}
	speed := func(took time.Duration) quantity { return quantity{float64(b.tree) / 1e6 / took.Seconds(), "MB/s"} }
	goal, limit := noGoal(), "nix-store is not installed"
	if _, err := exec.LookPath("nix-store"); err == nil {
		theirs, err := best(dump)
		if err != nil {
			return err
		}
		goal, limit = atLeast(speed(theirs).value), "nix-store --dump | sha256sum: "+speed(theirs).String()
	}
	b.report.add(fmt.Sprintf("attest, hashing a tree of %d MiB", b.tree>>20), speed(ours), goal, limit)
	return nil
}

func best(command func() *exec.Cmd) (time.Duration, error) {
	least := time.Hour
	for range 3 {
		c := command()
		begin := time.Now()
		if out, err := c.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, out)
		}
		least = min(least, time.Since(begin))
	}
	return least, nil
}

// hook measures Nix's post-build-hook on derivations that were really built.
func (b *bench) hook(ctx context.Context, r *network.Reporter) error {
	if !network.HasNix() {
		b.report.missing("hook", "needs root and Nix")
		return nil
	}
	tools := filepath.Join(b.tmp, "tools")
	if err := network.PrepareTools(tools); err != nil {
		return err
	}
	set, err := filepath.Abs("e2e/nixset")
	if err != nil {
		return err
	}
	store := &network.NixStore{Root: filepath.Join(b.tmp, "store"), Set: set, Tools: tools}
	if err := store.Build(ctx, "", io.Discard); err != nil {
		return err
	}
	drvs, err := filepath.Glob(filepath.Join(store.Root, "nix/store/*.drv"))
	if err != nil {
		return err
	}
	var took []time.Duration
	var empty []time.Duration
	for range 5 {
		for _, drv := range drvs {
			command := exec.CommandContext(ctx, r.Programs.Reporter(), "hook", "nix", "--dir", r.Dir)
			command.Env = append(os.Environ(), "DRV_PATH="+strings.TrimPrefix(drv, store.Root), "OUT_PATHS=",
				"NIX_CONFIG=store = local?root="+store.Root)
			begin := time.Now()
			if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
				return fmt.Errorf("hook: %w\n%s", err, out)
			}
			took = append(took, time.Since(begin))
			begin = time.Now()
			if err := exec.CommandContext(ctx, "/bin/true").Run(); err != nil {
				return err
			}
			empty = append(empty, time.Since(begin))
		}
	}
	b.report.add("hook, a derivation, median", milliseconds(median(took)), atMost(10),
		fmt.Sprintf("starting /bin/true: %s", milliseconds(median(empty))))
	b.report.add("hook, a derivation, p99", milliseconds(p99(took)), noGoal(), "")
	return nil
}
