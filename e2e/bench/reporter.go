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

	"repronet/e2e/network"
)

// reporter measures what a volunteer's machine feels.
func (b *bench) reporter(ctx context.Context, programs network.Programs) error {
	info, err := os.Stat(programs.Reporter())
	if err != nil {
		return err
	}
	b.report.add("reporter's binary, with libp2p", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "45 MB", "")
	slim := filepath.Join(b.dir, "slim")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nolibp2p", "-ldflags=-s -w", "-o", slim, "./cmd/repronet-reporter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the reporter without libp2p: %w\n%s", err, out)
	}
	if info, err = os.Stat(slim); err != nil {
		return err
	}
	b.report.add("reporter's binary, without libp2p", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "25 MB", "")
	r, err := network.NewReporter(ctx, b.aggregator, filepath.Join(b.dir, "reporter"), "bench", b.aggregator.URL, "--report", "all")
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
	time.Sleep(15 * time.Second)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command.Process.Pid))
	if err != nil {
		return err
	}
	b.report.add("reporter's RSS, idle", fmt.Sprintf("%.1f MB", float64(field(status, "VmRSS:"))/1024), "25 MB", "")
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = command.Wait() // a signal ended it
	return nil
}

// hashing compares attest with what Nix has for the same work.
func (b *bench) hashing(ctx context.Context, r *network.Reporter) error {
	const size = 1 << 30
	tree := filepath.Join(b.dir, "tree")
	if err := os.MkdirAll(tree, 0o750); err != nil {
		return err
	}
	for i := range 16 {
		f, err := os.Create(filepath.Join(tree, fmt.Sprintf("file-%d", i)))
		if err != nil {
			return err
		}
		if _, err := io.CopyN(f, rand.Reader, size/16); err != nil {
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
	limit := "nix-store is not installed"
	if _, err := exec.LookPath("nix-store"); err == nil {
		theirs, err := best(dump)
		if err != nil {
			return err
		}
		limit = fmt.Sprintf("nix-store --dump | sha256sum: %.0f MB/s", rate(size, theirs)/1e6)
	}
	b.report.add("attest, hashing a tree of 1 GiB", fmt.Sprintf("%.0f MB/s", rate(size, ours)/1e6), "no slower", limit)
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
		b.report.add("hook", "not measured", "10 ms", "needs root and Nix")
		return nil
	}
	tools := filepath.Join(b.dir, "tools")
	if err := network.PrepareTools(tools); err != nil {
		return err
	}
	set, err := filepath.Abs("e2e/nixset")
	if err != nil {
		return err
	}
	store := &network.NixStore{Root: filepath.Join(b.dir, "store"), Set: set, Tools: tools}
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
	b.report.add("hook, a derivation, median", milliseconds(median(took)), "10 ms",
		fmt.Sprintf("starting /bin/true: %s", milliseconds(median(empty))))
	b.report.add("hook, a derivation, p99", milliseconds(p99(took)), "", "")
	return nil
}
