// Package command is the command line of repronet-verify: flags, calls of package
// verify and those below it, and what is printed.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
	"repronet.dev/replay"
	"repronet.dev/snapshot"
	"repronet.dev/verify"
)

// Exit statuses. Every error is one of the last three, so that no trouble is
// taken for a verdict.
const (
	exitDiverged     = 1
	exitInsufficient = 2
	exitInvalid      = 3
	exitNewer        = 4
)

const exitStatuses = `
EXIT STATUS
  0   reproduced: enough operators agree, and on the digest that was given
  1   diverged, or the digest that was given is not the one they agree on
  2   not enough evidence; also if it cannot be had (no network, no pins)
  3   the log or evidence in it is invalid: forged, forked, rewritten or cut off;
      or fewer of the pinned witnesses cosigned it than are asked for
  4   undecided: the ledger has entries that only a newer version of this program can
      read; nobody is accused of anything
  64  called wrongly`

// Program returns the program.
func Program() *cli.Program {
	return &cli.Program{
		Name:    "repronet-verify",
		Prefix:  "REPRONET_VERIFY_",
		Summary: "check what independent builders say about a build",
		About: `DESCRIPTION
  Keeps a checked copy of an aggregator's ledger on this machine, finds in it
  every statement about an output, checks their signatures under the keys that
  you pinned, counts the operators behind them, and says whether the output is
  reproduced. Nothing that an aggregator answers is believed.

  Begin with 'repronet-verify pin --aggregator URL', then
  'repronet-verify output KEY --quorum 2'.
` + exitStatuses + `

FILES
  ~/.config/repronet/verify.json    what is pinned; --config FILE for another
  ~/.local/share/repronet/mirrors/  copies of ledgers; --mirror DIR for another place`,
		Commands: []cli.Command{output(), closureCommand(), differenceCommand(), compareCommand(), promoteCommand(), vsaCommand(), svrCommand(), gateCommand(), watchCommand(), replayCommand(), snapshotCommand(), rowsCommand(), monitorCommand(), witnessCommand(), mirror(), checkpoint(), pin()},
	}
}

// settings are the options that all commands have.
type settings struct {
	config, mirror string
	// apart is added to the default mirror's name: for one that stays open.
	apart string
}

func (s *settings) declare(flags *flag.FlagSet) {
	flags.StringVar(&s.config, "config", "", "`file` of pins")
	flags.StringVar(&s.mirror, "mirror", "", "`directory` of the ledger's copy")
}

func (s *settings) configPath() (string, error) {
	if s.config != "" {
		return s.config, nil
	}
	return verify.DefaultPinsPath()
}

// pins reads the pins, and returns the mirror's directory too.
func (s *settings) pins() (*verify.Pins, string, error) {
	path, err := s.configPath()
	if err != nil {
		return nil, "", err
	}
	pins, err := verify.LoadPins(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("nothing is pinned (%s is not there): run repronet-verify pin --aggregator URL", path)
	}
	if err != nil {
		return nil, "", err
	}
	key, err := pins.Verifier()
	if err != nil {
		return nil, "", err
	}
	dir, err := s.mirrorDir(key)
	return pins, dir, err
}

// verifier returns the key of the pinned ledger.
func (s *settings) verifier() (note.Verifier, error) {
	pins, _, err := s.pins()
	if err != nil {
		return nil, err
	}
	return pins.Verifier()
}

func (s *settings) mirrorDir(key note.Verifier) (string, error) {
	if s.mirror != "" {
		return s.mirror, nil
	}
	dir, err := verify.DefaultMirrorDir(key)
	return dir + s.apart, err
}

// open reads the pins and opens the mirror.
func (s *settings) open(ctx context.Context, env *cli.Env) (*verify.Pins, *verify.Mirror, error) {
	pins, dir, err := s.pins()
	if err != nil {
		return nil, nil, err
	}
	mirror, err := pins.OpenMirror(ctx, dir)
	if err != nil || !mirror.Remade() {
		return pins, mirror, err
	}
	fmt.Fprintf(env.Stderr, "the index in %s is another version's: making it anew from the entries there\n", dir)
	progress, done := progressLine(env.Stderr)
	err = mirror.Index(ctx, progress)
	done()
	if err != nil && !errors.Is(err, reading.ErrNewerRules) { // an update says that again
		return nil, nil, errors.Join(err, mirror.Close())
	}
	return pins, mirror, nil
}

// defaultMaxAge is twice the time after which a ledger that nobody has anything to
// say to commits to its map all the same.
const defaultMaxAge = 48 * time.Hour

// declareMaxAge declares the option that bounds what [update] accepts.
func declareMaxAge(flags *flag.FlagSet, maxAge *time.Duration) {
	flags.DurationVar(maxAge, "max-age", defaultMaxAge, "`time` after which the newest state of the ledger is too old; 0 for never")
}

// age says how old the newest state of a ledger is.
func age(alive time.Time) string {
	if alive.IsZero() {
		return "without entries"
	}
	old := time.Since(alive).Round(time.Second)
	if verify.CheckAhead(alive) != nil {
		return fmt.Sprintf("dated %v ahead of this machine's clock", -old)
	}
	return fmt.Sprintf("%v old", max(old, 0))
}

// update extends the mirror. A ledger that is shown in an older state than was
// seen is no reason to stop: what was seen is here. One without news is, as it may
// be a ledger whose news are held back.
func update(ctx context.Context, env *cli.Env, pins *verify.Pins, mirror *verify.Mirror, maxAge time.Duration) error {
	progress, done := progressLine(env.Stderr)
	err := pins.Update(ctx, mirror, progress)
	if errors.Is(err, verify.ErrStale) {
		done()
		fmt.Fprintf(env.Stderr, "repronet-verify: warning: %v; going on with what was seen\n", err)
		err = mirror.Index(ctx, progress)
	}
	done()
	if err != nil {
		return err
	}
	return mirror.CheckAge(ctx, maxAge)
}

// progressLine returns what shows progress on a terminal, and what removes it.
func progressLine(w io.Writer) (progress verify.Progress, done func()) {
	line := cli.NewProgress(w)
	return func(work string, done, total uint64) {
		line.Show("%s: %d of %d entries (%d %%)", work, done, total, done*100/max(total, 1))
	}, line.Clear
}

// withStatus gives a command's errors their exit status.
func withStatus(run func(context.Context, *cli.Env, []string) error) func(context.Context, *cli.Env, []string) error {
	return func(ctx context.Context, env *cli.Env, args []string) error {
		err := run(ctx, env, args)
		if _, has := errors.AsType[*cli.ExitError](err); err == nil || has {
			return err
		}
		return &cli.ExitError{Status: statusOf(err), Err: err}
	}
}

// statusOf returns the exit status that an error ends a command with.
func statusOf(err error) int {
	if exit, ok := errors.AsType[*cli.ExitError](err); ok {
		return exit.Status
	}
	if errors.Is(err, reading.ErrNewerRules) {
		return exitNewer
	}
	if errors.Is(err, ledger.ErrInvalid) || errors.Is(err, ledger.ErrNotCosigned) || errors.Is(err, verify.ErrBuilders) || errors.Is(err, verify.ErrForged) || errors.Is(err, replay.ErrMapRoot) || errors.Is(err, outputmap.ErrInvalid) || errors.Is(err, snapshot.ErrInvalid) {
		return exitInvalid
	}
	return exitInsufficient
}
