package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"repronet.dev/e2e/network"
)

// programs returns the programs of a version: those of a directory, or those of a git
// revision, built below dir from a checkout of its own.
func programs(ctx context.Context, version, dir string, log io.Writer) (p network.Programs, err error) {
	if info, err := os.Stat(version); err == nil && info.IsDir() {
		absolute, err := filepath.Abs(version)
		return network.Programs(absolute), err
	}
	fmt.Fprintf(log, "building the programs of %s\n", version)
	source, bin := filepath.Join(dir, "source"), filepath.Join(dir, "bin")
	if err := command(ctx, log, "", "git", "worktree", "add", "--quiet", "--detach", source, version); err != nil {
		return "", fmt.Errorf("%s is neither a directory nor a revision: %w", version, err)
	}
	defer func() {
		err = errors.Join(err, command(context.WithoutCancel(ctx), log, "", "git", "worktree", "remove", "--force", source))
	}()
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	if err := command(ctx, log, source, "go", "build", "-trimpath", "-o", bin+"/", "./cmd/..."); err != nil {
		return "", fmt.Errorf("building the programs of %s: %w", version, err)
	}
	return network.Programs(bin), nil
}

func command(ctx context.Context, log io.Writer, dir string, args ...string) error {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Stdout, c.Stderr = dir, log, log
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	return c.Run()
}

// knowledge returns which words of ledger/entry.go a version has: kinds of entries, in quotes,
// and encodings. Of a directory of programs that is not known, and it is taken to have all.
func knowledge(ctx context.Context, version string) (func(word string) bool, error) {
	if info, err := os.Stat(version); err == nil && info.IsDir() {
		return func(string) bool { return true }, nil
	}
	text, err := exec.CommandContext(ctx, "git", "show", version+":ledger/entry.go").Output()
	if err != nil {
		return nil, fmt.Errorf("reading what %s knows: %w", version, err)
	}
	return func(word string) bool { return bytes.Contains(text, []byte(word)) }, nil
}
