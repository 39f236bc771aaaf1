package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/internal/cli"
	"repronet.dev/internal/durable"
	"repronet.dev/manifest"
	"repronet.dev/reporter"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/rebuild"
)

// Exit statuses of rebuild, the worst of what it found.
const (
	exitDiffers    = 1
	exitNotRebuilt = 2
)

func rebuildCommand() cli.Command {
	return cli.Command{
		Name:     "rebuild",
		Synopsis: "[OPTIONS] BUILD … | [OPTIONS] --suggested NUMBER",
		Summary:  "build again, to see whether the same comes out",
		About: `  Builds a derivation of Nix again, compares every output with the one that this
  machine has, or with a second build if it has none, and records what came out,
  whether it differs or not; 'run' submits it. A BUILD is a derivation
  (/nix/store/…-hello.drv), an output (/nix/store/…-hello), or a name that the store
  knows (hello-2.12.1).

  The builds are made in a Nix store of their own, which is deleted afterwards:
  neither root nor Nix's daemon is needed, the machine's store stays as it is, all
  outputs are compared, not only the first that differs, and content-addressed ones
  too. Inputs are copied from the machine's store; those that it does not have come
  from Nix's substituters, or are built. The outputs themselves never come from a
  substituter.

  A build runs in Nix's sandbox, without a network. Derivations that ask to be outside
  of it, and those whose outputs are no evidence (fixed by a hash, impure), are
  refused. A build that comes to the end of --timeout is recorded as failed; one that
  takes more memory, disk or processes than it may is ended, and nothing is recorded
  of it; what this machine had built before is.

  With --suggested, the aggregator is asked what is worth building next of the package
  sets that this reporter has chosen (or of --set): what one operator has built before
  what nobody has, and nothing that is your own already. Of that, so many builds are made
  as are asked for, of those whose derivation is in the machine's Nix store: nothing is
  built that was not evaluated here. With --schedule that is done again and again, at
  the times of a cron expression, until the command is ended.

  Where an output differs, the files that do are named; --keep has both builds kept,
  with a report by diffoscope if that is installed.

EXIT STATUS
  0   all outputs are the same
  1   an output differs
  2   a build failed, was stopped, or was refused; or there was nothing to compare
  64  the command was called wrongly

EXAMPLES
  repronet-reporter rebuild hello-2.12.1
  repronet-reporter rebuild --keep ./differing --timeout 20m --memory 4096 /nix/store/…-hello.drv
  repronet-reporter rebuild --suggested 20 --schedule '0 1-6 * * *' --timeout 1h
  repronet-reporter rebuild --no-record --times 3 --json hello-2.12.1`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			c := &rebuilding{dir: dirFlag(flags)}
			flags.StringVar(&c.job.From, "from", os.Getenv("NIX_REMOTE"), "the `URI` of the Nix store that the derivation is in")
			flags.StringVar(&c.job.Dir, "store", "/var/tmp", "the `directory` below which the builds' own store is made")
			flags.IntVar(&c.job.Times, "times", 0, "the `number` of builds; by default 1 where the machine has the outputs, otherwise 2")
			flags.DurationVar(&c.job.Limits.Time, "timeout", 2*time.Hour, "how `long` one build may take")
			flags.IntVar(&c.job.Limits.Cores, "cores", 0, "the `number` of cores that a build is to use; by default as Nix is configured")
			memory := flags.Int64("memory", 0, "the memory in `MiB` that a build may take with all its processes; by default any")
			disk := flags.Int64("disk", 0, "the disk space in `MiB` that copied inputs and builds may take; by default any")
			flags.IntVar(&c.job.Limits.Processes, "processes", 4096, "the `number` of processes that a build may have at once; 0 for any")
			flags.StringVar(&c.keep, "keep", "", "the `directory` in which both builds of an output that differs are kept")
			flags.BoolVar(&c.unrecorded, "no-record", false, "compare only; the reporter's directory is not needed")
			flags.IntVar(&c.suggested, "suggested", 0, "the `number` of builds to make of those that the aggregator suggests")
			flags.StringVar(&c.set, "set", "", "the package `set` of which builds are suggested; by default those that were chosen with 'init --sets'")
			flags.StringVar(&c.schedule, "schedule", "", "when suggested builds are made, as a cron `expression` of five fields, in local time")
			flags.BoolVar(&c.logs, "print-build-logs", false, "print what Nix and the builds say, on standard error")
			flags.BoolVar(&c.json, "json", false, "print one JSON object for each BUILD, in a line")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				switch {
				case c.suggested == 0 && (c.set != "" || c.schedule != ""):
					return cli.Usagef("--set and --schedule are for suggested builds; how many is missing: --suggested NUMBER")
				case c.suggested == 0 && len(args) == 0:
					return cli.Usagef("which build is missing")
				case c.suggested != 0 && len(args) > 0:
					return cli.Usagef("builds are either named or suggested, not both")
				case c.suggested != 0 && c.unrecorded:
					return cli.Usagef("suggested builds are made to be recorded; leave --no-record out")
				}
				if c.suggested < 0 || c.job.Times < 0 || c.job.Limits.Time < 0 || c.job.Limits.Cores < 0 || *memory < 0 || *disk < 0 || c.job.Limits.Processes < 0 {
					return cli.Usagef("numbers and times are not negative")
				}
				c.job.Limits.Memory, c.job.Limits.Disk = *memory<<20, *disk<<20
				return c.run(ctx, env, args)
			}
		},
	}
}

// A rebuilding is a call of rebuild.
type rebuilding struct {
	dir        func() (reporter.Home, error)
	job        rebuild.Job
	keep       string
	unrecorded bool
	json       bool
	logs       bool
	suggested  int
	set        string
	schedule   string

	home reporter.Home
}

func (c *rebuilding) run(ctx context.Context, env *cli.Env, words []string) (err error) {
	if !c.unrecorded {
		if c.home, err = c.dir(); err != nil {
			return err
		}
		if _, err := c.home.Config(); err != nil {
			return fmt.Errorf("%w, or say --no-record to compare only", err)
		}
		c.job.Cache = string(c.home)
	}
	c.job.Log = io.Discard
	if c.logs {
		c.job.Log = env.Stderr
	}
	if c.suggested > 0 {
		return c.doSuggested(ctx, env)
	}
	return c.all(ctx, env, words)
}

// all does what is to be done for each argument.
func (c *rebuilding) all(ctx context.Context, env *cli.Env, words []string) error {
	worst := 0
	for _, word := range words {
		status, err := c.one(ctx, env, word)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			fmt.Fprintf(env.Stderr, "repronet-reporter rebuild: %s: %v\n", word, err)
		}
		worst = max(worst, status)
	}
	if worst > 0 {
		return cli.Exit(worst)
	}
	return nil
}

// one does what is to be done for one argument, and returns the exit status for it.
func (c *rebuilding) one(ctx context.Context, env *cli.Env, word string) (status int, err error) {
	job := c.job
	if job.Recipe, err = derivation(ctx, job.From, word); err != nil {
		return exitNotRebuilt, err
	}
	job.Step = func(what string) { fmt.Fprintf(env.Stderr, "%s: %s\n", job.Recipe, what) }
	var kept []string
	job.Differing = func(ctx context.Context, o *rebuild.Output, first, second string) error {
		if err := c.keepManifests(ctx, env, o, first, second); err != nil {
			return err
		}
		files, err := c.keepDiffering(ctx, env, o, first, second)
		kept = append(kept, files...)
		return err
	}
	result, err := rebuild.Run(ctx, job)
	if result == nil {
		return exitNotRebuilt, err
	}
	recorded := 0
	if !c.unrecorded {
		for _, r := range result.Records {
			if putErr := c.home.Spool().Put(r); putErr != nil {
				return exitNotRebuilt, errors.Join(err, putErr)
			}
			recorded++
		}
	}
	if err != nil {
		if recorded > 0 {
			fmt.Fprintf(env.Stderr, "%s: %d builds from before recorded\n", job.Recipe, recorded)
		}
		return exitNotRebuilt, err
	}
	return resultStatus(result.Outcome), c.print(env, result, recorded, kept)
}

func resultStatus(o rebuild.Outcome) int {
	switch o {
	case rebuild.Reproduced:
		return 0
	case rebuild.Differs:
		return exitDiffers
	default:
		return exitNotRebuilt
	}
}

// derivation finds the one derivation that a word means.
func derivation(ctx context.Context, store, word string) (string, error) {
	found, err := collect.FindDerivations(ctx, store, word)
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", errors.New("the Nix store knows no derivation of it; 'nix-instantiate' or 'nix derivation show' brings it there")
	case len(found) > 1:
		return "", fmt.Errorf("%d derivations have this name; name one: %v", len(found), found)
	}
	return found[0], nil
}

// keepManifests keeps what is in those of two builds that are this machine's own, for when the
// aggregator asks where builds differ.
func (c *rebuilding) keepManifests(ctx context.Context, env *cli.Env, o *rebuild.Output, first, second string) error {
	if c.unrecorded {
		return nil
	}
	config, err := c.home.Config()
	if err != nil || config.Manifests != reporter.ManifestsYes {
		return err
	}
	differing := slices.IndexFunc(o.Builds, func(b rebuild.Build) bool { return b.Digest != o.Builds[0].Digest })
	for i, dir := range map[int]string{0: first, differing: second} {
		digest, err := attestation.ParseDigest(o.Builds[i].Digest)
		if err == nil && o.Builds[i].Of != rebuild.Cache {
			err = c.home.KeepManifest(ctx, o.Key, digest, dir)
		}
		if errors.Is(err, manifest.ErrTooLarge) {
			fmt.Fprintf(env.Stderr, "%s: no list of its files is kept: %v\n", o.Key, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// keepDiffering copies the two builds of an output to where they are kept, and has
// diffoscope compare them there.
func (c *rebuilding) keepDiffering(ctx context.Context, env *cli.Env, o *rebuild.Output, first, second string) ([]string, error) {
	if c.keep == "" {
		return nil, nil
	}
	dir := filepath.Join(c.keep, filepath.Base(o.Key))
	if err := durable.MkdirAll(c.keep, 0o750); err != nil {
		return nil, fmt.Errorf("keeping what differs: %w", err)
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return nil, fmt.Errorf("keeping what differs: %w; move what is there away, or name another directory", err)
	}
	kept := []string{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	for i, from := range []string{first, second} {
		if err := rebuild.Copy(from, kept[i]); err != nil {
			return nil, fmt.Errorf("keeping what differs: %w", err)
		}
	}
	reports, err := rebuild.Diffoscope(ctx, kept[0], kept[1], dir)
	if err != nil {
		fmt.Fprintf(env.Stderr, "no report on what differs: %v\n", err)
	}
	return append(kept, reports...), nil
}

func (c *rebuilding) print(env *cli.Env, result *rebuild.Result, recorded int, kept []string) error {
	if c.json {
		return cli.JSONLine(env.Stdout, struct {
			*rebuild.Result
			Recorded int      `json:"recorded"` // builds
			Kept     []string `json:"kept,omitempty"`
		}{result, recorded, kept})
	}
	w := env.Stdout
	fmt.Fprintf(w, "%s: %s\n", result.Build, result.Outcome)
	if result.Failure != "" {
		fmt.Fprintf(w, "  %s\n", result.Failure)
	}
	for _, line := range result.Log {
		fmt.Fprintf(w, "  > %s\n", line)
	}
	for _, o := range result.Outputs {
		fmt.Fprintf(w, "  %s  %s\n", o.Name, o.Key)
		for _, b := range o.Builds {
			fmt.Fprintf(w, "    %s  %s\n", b.Digest, b.Of)
		}
		if o.Difference != nil {
			fmt.Fprintf(w, "    %s\n", o.Difference)
		}
	}
	for _, file := range kept {
		fmt.Fprintf(w, "  kept: %s\n", file)
	}
	if c.unrecorded {
		return nil
	}
	_, err := fmt.Fprintf(w, "  %d builds recorded; 'repronet-reporter run' submits them\n", recorded)
	return err
}
