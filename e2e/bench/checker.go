package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"repronet.dev/e2e/network"
)

// A checker is a user of repronet-verify who pinned an aggregator.
type checker struct {
	programs network.Programs
	dir      string
}

func newChecker(ctx context.Context, programs network.Programs, dir, aggregator string) (*checker, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	c := &checker{programs, dir}
	_, err := c.run(ctx, "pin", "--yes", "--aggregator", aggregator)
	return c, err
}

func (c *checker) path(name string) string { return filepath.Join(c.dir, name) }

func (c *checker) command(ctx context.Context, words string, args ...string) *exec.Cmd {
	args = slices.Concat(strings.Fields(words), []string{"--config", c.path("pins.json")}, args)
	return exec.CommandContext(ctx, c.programs.Verify(), args...)
}

// A ran is what a program that ended left.
type ran struct {
	stdout []byte
	status int
	took   time.Duration
	cpu    time.Duration // of all cores: it does not depend on who else uses them
	peak   int64         // resident size, in bytes
}

// run runs repronet-verify to its end. Verdicts (1) are answers, not errors.
func (c *checker) run(ctx context.Context, words string, args ...string) (*ran, error) {
	return run(c.command(ctx, words, args...), 0, 1)
}

// run runs a program to its end, which must be with one of the exit statuses.
func run(command *exec.Cmd, statuses ...int) (*ran, error) {
	var stdout bytes.Buffer
	var stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := command.Start(); err != nil {
		return nil, err
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watchMemory(command.Process.Pid, ended) }()
	err := command.Wait()
	r := &ran{took: time.Since(begin)}
	close(ended)
	r.stdout, r.peak, r.status = stdout.Bytes(), <-peak, command.ProcessState.ExitCode()
	r.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return nil, err
	}
	if !slices.Contains(statuses, r.status) {
		return nil, fmt.Errorf("%s: exit status %d: %s", strings.Join(command.Args, " "), r.status, stderr.String())
	}
	return r, nil
}

// watchMemory returns the greatest resident size of a process, looked at now and
// then: what wait4(2) tells contains that of the process which started it.
func watchMemory(pid int, ended <-chan struct{}) (peak int64) {
	for {
		// After its end, this is an empty file or none.
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			peak = max(peak, field(status, "VmHWM:"))
		}
		select {
		case <-ended:
			return peak
		case <-time.After(50 * time.Millisecond):
		}
	}
}
