package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/spool"
)

// Exit statuses of exec that are not the command's own, as env(1) has them.
const (
	exitReporter      = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

func execCommand() cli.Command {
	return cli.Command{
		Name:     "exec",
		Synopsis: "--build NAME --output NAME=PATH … [OPTIONS] -- COMMAND [ARGUMENT …]",
		Summary:  "make a build and record it, or its failure",
		About: `  Runs the command with this one's standard input, output and error, passes
  signals on to it, and then does what 'attest' does. If the command fails, what
  is recorded is that the build failed: the statement names the build with the
  digest of its recipe, which is the SHA-256 of the .drv file for Nix and of the
  build's name elsewhere.

  An output that was there before and that the command left as it was is no result of
  it: that is an error, unless --existing says that it is meant.

EXIT STATUS
  that of the command, or 128 and the number of the signal that ended it
  125  the command succeeded, but its outputs could not be recorded
  126  the command cannot be executed
  127  the command was not found
  64   this command was called wrongly

EXAMPLES
  repronet-reporter exec --build alice/hello-1.0 --output bin=./hello -- make hello`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			b := buildFlags(flags)
			existing := flags.Bool("existing", false, "record outputs too that the command did not touch")
			return func(_ context.Context, env *cli.Env, args []string) error {
				if len(args) == 0 {
					return cli.Usagef("the command to run is missing")
				}
				home, err := b.open(dir)
				if err != nil {
					return err
				}
				started := time.Now()
				status, failure, err := runBuild(env, args)
				if err != nil {
					return err
				}
				var records []*spool.Record
				if failure == "" && !*existing {
					err = b.checkMade(started)
				}
				if err != nil {
					return execResult(env, status, err)
				}
				if failure == "" {
					records, err = b.records(started, time.Now())
				} else {
					records = []*spool.Record{b.failed(started, time.Now(), failure)}
				}
				if err == nil {
					err = put(home, records, func(outputs []spool.Output) error { return printOutputs(env, outputs, false) })
				}
				return execResult(env, status, err)
			}
		},
	}
}

// checkMade refuses outputs that are older than the build.
func (b *build) checkMade(started time.Time) error {
	for _, output := range b.outputs {
		name, path, _ := strings.Cut(output, "=")
		changed, err := collect.ChangedSince(path, started)
		if err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		if !changed {
			return fmt.Errorf("output %s: %s was there before, and the command did not make it: delete it and build again, or say --existing", name, path)
		}
	}
	return nil
}

// execResult keeps the command's status even where its failure could not be
// recorded.
func execResult(env *cli.Env, status int, err error) error {
	switch {
	case status != 0 && err != nil:
		fmt.Fprintf(env.Stderr, "repronet-reporter exec: recording the failure: %v\n", err)
		return cli.Exit(status)
	case status != 0:
		return cli.Exit(status)
	case err != nil:
		return &cli.ExitError{Status: exitReporter, Err: err}
	default:
		return nil
	}
}

// runBuild runs the command. Its error means that the command did not run.
func runBuild(env *cli.Env, args []string) (status int, failure string, err error) {
	command := exec.Command(args[0], args[1:]...) //nolint:noctx // it ends by itself, or by a signal that is passed on
	command.Stdin, command.Stdout, command.Stderr = env.Stdin, cli.Unguarded(env.Stdout), cli.Unguarded(env.Stderr)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if err := command.Start(); err != nil {
		status := exitNotExecutable
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			status = exitNotFound
		}
		return 0, "", &cli.ExitError{Status: status, Err: err}
	}
	done := make(chan struct{})
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		for {
			select {
			case s := <-signals:
				_ = command.Process.Signal(s)
			case <-done:
				return
			}
		}
	}()
	err = command.Wait()
	close(done)
	<-forwarded
	exit, failed := errors.AsType[*exec.ExitError](err)
	if !failed {
		return 0, "", err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), fmt.Sprintf("the command was ended by signal %d (%s)", int(ws.Signal()), ws.Signal()), nil
	}
	return exit.ExitCode(), fmt.Sprintf("the command exited with status %d", exit.ExitCode()), nil
}
