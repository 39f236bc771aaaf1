package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
)

// grace is how long 'run' may go on after a signal. Killed, it loses nothing.
const grace = 10 * time.Second

func runCommand() cli.Command {
	return cli.Command{
		Name:     "run",
		Synopsis: "[--once [--json]] [--interval DURATION] [--dir DIRECTORY]",
		Summary:  "submit what was recorded",
		About: `  Signs what is in the spool, in batches, and submits it. What cannot be
  delivered is tried again after 5 seconds to 5 minutes, or when the aggregator
  asks for it. A statement leaves the spool only when its receipt proves, under
  the pinned log key, that the aggregator's log contains it; one that is refused
  for good is kept apart, see 'status'. While the builder is not enrolled, or one of
  the two clocks is wrong, statements wait and are sent again.

  The ledger is compared with what it acknowledged, every 60 intervals and when a
  receipt says that it has become smaller. What a ledger that was restored from a
  backup has lost is sent again, from the copies of the last 30 days; the proof that
  its holder signed two histories is kept, and 'status' names it.

  Once an hour the aggregator is asked of which outputs others got something else, and
  told which files are in what was reported of them, with their sizes and hashes,
  unless 'init --manifests no' was said: that shows where builds differ.

  It runs until it is ended by a signal; --once tries once to deliver everything.

EXIT STATUS
  0   with --once: everything is acknowledged. Else: ended by a signal
  1   with --once: something was refused. Else: it could not start
  64  the command was called wrongly
  75  with --once: something could not be delivered; try again later. Else:
      another 'run' is at work in this directory`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			once := flags.Bool("once", false, "try once to deliver everything, and exit")
			asJSON := flags.Bool("json", false, "with --once: print one JSON object")
			interval := flags.Duration("interval", reporter.DefaultInterval, "how long records gather before they are signed")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				if *interval < 100*time.Millisecond {
					return cli.Usagef("--interval %v: at least 100ms", *interval)
				}
				home, err := dir()
				if err != nil {
					return err
				}
				defer cli.EndWithin(ctx, env, grace)()
				runner, err := reporter.NewRunner(home, slog.New(slog.NewTextHandler(env.Stderr, nil)))
				if errors.Is(err, spool.ErrLocked) {
					return &cli.ExitError{Status: exitTryLater, Err: err}
				}
				if err != nil {
					return err
				}
				if *once {
					err = runOnce(ctx, env, runner, *asJSON)
				} else {
					err = runner.Run(ctx, *interval)
				}
				return errors.Join(err, runner.Close())
			}
		},
	}
}

func runOnce(ctx context.Context, env *cli.Env, runner *reporter.Runner, asJSON bool) error {
	report, err := runner.Pass(ctx)
	told := &reporter.ManifestReport{}
	if err == nil {
		var tellErr error
		if told, tellErr = runner.HandInManifests(ctx); tellErr != nil {
			fmt.Fprintf(env.Stderr, "repronet-reporter run: manifests cannot be handed in: %v\n", tellErr)
		}
	}
	if asJSON {
		fmt.Fprintf(env.Stdout, "{\"acknowledged\": %d, \"refused\": %d, \"held\": %d, \"left\": %d, \"lost\": %d, \"manifests\": %d}\n",
			report.Acknowledged, report.Refused, report.Held, report.Left, report.Lost, told.Sent)
	} else {
		printPass(env, report)
		printManifests(env, told)
	}
	return passResult(report, err)
}

// printManifests says what came of handing manifests in, if any were wanted.
func printManifests(env *cli.Env, told *reporter.ManifestReport) {
	if told.Wanted == 0 {
		return
	}
	fmt.Fprintf(env.Stdout, "others got something else of %d outputs: %d lists of files handed in, %d outputs not here any more, %d left for the next time\n",
		told.Wanted, told.Sent, told.Absent, told.Left)
	for _, problem := range told.Problems {
		fmt.Fprintf(env.Stderr, "no list of files: %s\n", problem)
	}
}

func printPass(env *cli.Env, report *reporter.Report) {
	if report.Lost > 0 {
		fmt.Fprintf(env.Stdout, "%d statements that the ledger had acknowledged are not in it any more, and are sent again\n", report.Lost)
	}
	fmt.Fprintf(env.Stdout, "%d statements acknowledged, %d refused, %d held; %d records and statements left\n",
		report.Acknowledged, report.Refused, report.Held, report.Left)
}

func refusedError(report *reporter.Report) error {
	if report.Refused == 0 {
		return nil
	}
	return fmt.Errorf("the aggregator refused %d statements for good: 'repronet-reporter status' says why", report.Refused)
}

// passResult is what a pass ends with.
func passResult(report *reporter.Report, err error) error {
	switch {
	case report.Held > 0:
		return errors.Join(fmt.Errorf("the aggregator does not take this builder's statements: %s", report.HeldReason), refusedError(report), err)
	case report.Refused > 0:
		return errors.Join(refusedError(report), err)
	case err != nil:
		return &cli.ExitError{Status: exitTryLater, Err: err}
	case report.Left > 0:
		return &cli.ExitError{Status: exitTryLater, Err: errors.New("something is left to deliver: try again later")}
	default:
		return nil
	}
}
