// Command sameread reads ledgers by the programs of two versions, and says whether
// verdicts, history, counts, map roots, divergences, builders and sets are the same:
//
//	go run ./e2e/sameread --old v0.1.0 --new bin LEDGER...
//
// A version is a directory with the three programs, or a revision of the repository in
// the working directory, whose programs are built then. A LEDGER is an aggregator's
// data directory, or a directory of such directories; none of them is written to.
//
// A ledger with an entry of a kind, or in an encoding, that one of the versions does not know
// is not compared, and said to be so: until version 1 of the rules such entries were passed
// over. What the older version knows is told by its source, so of a directory nothing is assumed. It ends with status 0 if all answers are the same, 1 if some differ, and 64 if it is
// called wrongly. See package answers for what is asked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"repronet.dev/e2e/answers"
	"repronet.dev/internal/chdb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	same, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case !same:
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: sameread --old VERSION --new VERSION LEDGER [LEDGER …]")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (same bool, err error) {
	flags := flag.NewFlagSet("sameread", flag.ContinueOnError)
	flags.SetOutput(stderr)
	older := flags.String("old", "", "directory of the older programs, or a git `revision`")
	newer := flags.String("new", "bin", "directory of the newer programs, or a git `revision`")
	atOnce := flags.Int("at-once", 2, "read `n` ledgers at a time")
	outputs := flags.Int("outputs", 500, "ask for `n` outputs of each ledger one by one; 0: for all")
	if err := flags.Parse(args); err != nil {
		return false, fmt.Errorf("%w: %w", errUsage, err)
	}
	if *older == "" || flags.NArg() == 0 {
		return false, errUsage
	}
	engine, err := chdb.Find()
	if err != nil {
		return false, err
	}
	if err := os.Setenv("REPRONET_ENGINE", engine); err != nil { // the programs lie where they would not find it
		return false, err
	}
	ledgers, err := find(flags.Args())
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "repronet-sameread-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	before, err := programs(ctx, *older, filepath.Join(tmp, "old"), stderr)
	if err != nil {
		return false, err
	}
	knows, err := knowledge(ctx, *older)
	if err != nil {
		return false, err
	}
	after, err := programs(ctx, *newer, filepath.Join(tmp, "new"), stderr)
	if err != nil {
		return false, err
	}
	options := answers.Options{Outputs: *outputs, Map: true}
	return (&comparer{before, after, knows, options, stdout}).all(ctx, ledgers, *atOnce)
}

// find returns the data directories among directories, and in them.
func find(dirs []string) (ledgers []string, err error) {
	for _, dir := range dirs {
		var found []string
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if _, err := os.Stat(filepath.Join(path, "ledger", "checkpoint")); err == nil {
				found = append(found, path)
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: there is no DIRECTORY/ledger/checkpoint in it", dir)
		}
		ledgers = append(ledgers, found...)
	}
	return slices.Compact(ledgers), nil
}
