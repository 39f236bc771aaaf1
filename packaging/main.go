// Command packaging writes what a release consists of, for people who do not build it:
//
//	go run ./packaging --out dist --engine engine/node_modules/…/libchdb.so
//
// For each platform a .tar.gz with the three programs, their manuals and completions; for
// Linux a .deb and an .rpm of each program; where the embedded engine is given, packages of it
// and the aggregator's container image; and SHA256SUMS over all of it.
//
// The same commit gives the same bytes, whoever makes it, where, when, and on how many cores:
// programs are built with -trimpath and no C, every time in an archive is the commit's
// ($SOURCE_DATE_EPOCH where that is set), owners and modes are said and never taken from disk.
// Another Go toolchain gives other programs: go.mod names it. The image has the C library of the
// machine that makes it.
//
// Trust. It runs git, go and, as a tool of this repository, nfpm; it reads the working tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	var r release
	flag.StringVar(&r.out, "out", "dist", "the `directory` to write to, which must not be there or be empty")
	flag.StringVar(&r.engine, "engine", "", "the embedded engine's `library` for linux/amd64, libchdb.so; without it there is no package of it")
	flag.StringVar(&r.version, "version", "", "the `version`, such as v1.2.3, where it is not the repository's")
	platforms := flag.String("platforms", "linux/amd64 linux/arm64 darwin/amd64 darwin/arm64", "the `platforms` to build for, as GOOS/GOARCH")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64)
	}
	r.platforms = strings.Fields(*platforms)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := r.write(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "packaging: %v\n", err)
		os.Exit(1)
	}
}

// write makes everything in a directory beside --out, which then takes its name: what is in
// --out is whole.
func (r *release) write(ctx context.Context) error {
	// An empty directory is replaced; one that has something in it cannot be.
	if err := os.Remove(r.out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("making room for %s: %w: move away what is there", r.out, err)
	}
	if err := os.MkdirAll(filepath.Dir(r.out), 0o755); err != nil { //nolint:gosec // everybody may read a release
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(r.out), ".packaging-*")
	if err != nil {
		return err
	}
	if made, err = filepath.Abs(made); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(made) }()
	r.stage, r.artifacts = filepath.Join(made, "stage"), filepath.Join(made, "artifacts")
	for _, dir := range []string{r.stage, r.artifacts} {
		if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // everybody may read a release
			return err
		}
	}
	for _, step := range []func(context.Context) error{r.build, r.describe, r.texts, r.tarballs, r.packages, r.image, r.sums} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return os.Rename(r.artifacts, r.out)
}
