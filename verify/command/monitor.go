package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/verify"
	"repronet.dev/verify/monitor"
)

func monitorCommand() cli.Command {
	return cli.Command{
		Name: "monitor", Synopsis: "[--reporter DIR] [--once] [OPTIONS]",
		Summary: "follow the ledger, and say when it breaks its promises",
		About: `  Makes a round every --interval until it is stopped, or one with --once: extends
  the copy of the ledger, which must continue what was seen; reads some earlier
  entries again; computes the root of each new verifiable map (of many at once, the
  newest and some others: repronet-verify replay --all-maps does all) and the builder
  list; and looks for news. With --reporter, the directory of a
  repronet-reporter of yours, every statement that was acknowledged to it must be
  in the ledger, byte for byte, and its statements must follow one another.

  Prints an alert for each thing that is wrong, once until it changes:

    fork         two signed states of which neither continues the other
    dropped      another entry in place of a statement that was acknowledged
    maproot      a map root that is not that of the ledger's entries: something is
                 hidden from who asks with --light
    rewritten    entries that are not those of the tree that was signed
    shrunk       an older state than one already seen
    stale        no entry, nor a cosignature by the pinned witnesses, newer than
                 --max-age
    chain        statements of your builder that do not follow one another
    uncosigned   a state that fewer of the pinned witnesses cosigned than are asked for
    builders     a builder list that is not what the ledger says, or older than seen
    revoked      a revocation that takes earlier statements of your builder away
    unreachable  no answer
    newer        entries that only a newer version of this program can read: no finding,
                 and map roots from there on wait for it

  A fork or a dropped statement proves itself: the proof is kept in a file, which
  anybody can check who knows the log's key (docs/checking.md). So does a map root,
  to all who have a copy of the ledger. The monitor ends with it.

EXIT STATUS
  0   nothing is wrong (--once), or stopped while nothing was
  1   something is wrong, and may pass: shrunk, stale, chain, revoked,
      unreachable
  2   it could not be done on this machine
  3   the log is invalid: fork, dropped, maproot, rewritten; or uncosigned, or with
      another builder list
  4   undecided: the ledger has entries that only a newer version of this program can
      read (newer), and it is not known to be invalid
  64  called wrongly

EXAMPLES
  repronet-verify monitor --reporter /var/lib/repronet-reporter
  repronet-verify monitor --once --json || mail -s 'ledger' me@example.org`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var c watcher
			c.declare(flags)
			flags.DurationVar(&c.interval, "interval", 10*time.Minute, "`time` between rounds")
			declareMaxAge(flags, &c.maxAge)
			flags.StringVar(&c.reporter, "reporter", "", "`directory` of your repronet-reporter")
			flags.BoolVar(&c.once, "once", false, "make one round")
			flags.BoolVar(&c.json, "json", false, "print JSON lines")
			return withStatus(c.run)
		},
	}
}

type watcher struct {
	settings
	interval, maxAge time.Duration
	reporter         string
	once, json       bool
}

// minInterval keeps a mistake from becoming an attack.
const minInterval = time.Second

func (c *watcher) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) > 0:
		return cli.Usagef("unexpected argument %q", args[0])
	case c.interval < minInterval:
		return cli.Usagef("--interval %v: at least %v", c.interval, minInterval)
	case c.maxAge < 0:
		return cli.Usagef("--max-age %v: no negative time", c.maxAge)
	}
	pins, mirror, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	config, err := c.config(pins, mirror)
	if err != nil {
		return err
	}
	m := monitor.New(config)
	var shown []monitor.Alert
	for {
		alerts, err := m.Round(ctx)
		if ctx.Err() != nil {
			return c.status(shown)
		}
		if err != nil {
			return err
		}
		for _, a := range alerts {
			if !slices.Contains(shown, a) {
				c.print(ctx, env, mirror, &a)
			}
		}
		if len(alerts) == 0 && (c.once || len(shown) > 0) {
			c.print(ctx, env, mirror, nil)
		}
		shown = alerts
		if c.once || slices.ContainsFunc(alerts, monitor.Alert.Convicts) {
			return c.status(alerts)
		}
		select {
		case <-time.After(c.interval):
		case <-ctx.Done():
		}
	}
}

func (c *watcher) config(pins *verify.Pins, mirror *verify.Mirror) (config monitor.Config, err error) {
	config = monitor.Config{Mirror: mirror, MaxAge: c.maxAge, Progress: func(string, uint64, uint64) {}}
	if len(pins.Aggregators) == 0 {
		return config, errors.New("no aggregator is pinned: run repronet-verify pin --aggregator URL")
	}
	aggregator, err := verify.Dial(pins.Aggregators[0])
	if err != nil {
		return config, err
	}
	config.Aggregator = aggregator
	if config.Key, err = pins.Verifier(); err != nil {
		return config, err
	}
	dir, err := c.mirrorDir(config.Key)
	config.Maps = filepath.Join(dir, "maps")
	if err == nil && c.reporter != "" {
		config.Reporter, err = monitor.OpenReporter(c.reporter)
	}
	return config, err
}

// status is that of the worst alert.
func (c *watcher) status(alerts []monitor.Alert) error {
	switch {
	case slices.ContainsFunc(alerts, monitor.Alert.Invalid):
		return cli.Exit(exitInvalid)
	case slices.ContainsFunc(alerts, monitor.Alert.Undecided):
		return cli.Exit(exitNewer)
	case len(alerts) > 0:
		return cli.Exit(exitDiverged)
	default:
		return nil
	}
}

// print prints an alert, or that nothing is wrong.
func (c *watcher) print(ctx context.Context, env *cli.Env, mirror *verify.Mirror, a *monitor.Alert) {
	now := time.Now().UTC().Truncate(time.Second)
	var size uint64
	if checkpoint := mirror.Checkpoint(); checkpoint != nil {
		size = checkpoint.Size
	}
	alive, err := mirror.Alive(ctx)
	if err != nil {
		alive = time.Time{} // an alert says what is wrong
	}
	if c.json {
		event := struct {
			Time    time.Time      `json:"time"`
			Entries uint64         `json:"entries"` // verified
			Alive   time.Time      `json:"alive,omitzero"`
			Alert   *monitor.Alert `json:",inline"`
		}{now, size, alive.UTC(), a}
		_ = cli.JSONLine(env.Stdout, event)
		return
	}
	if a == nil {
		fmt.Fprintf(env.Stdout, "%s ok: %d entries, %s, nothing is wrong\n", now.Format(time.RFC3339), size, age(alive))
		return
	}
	fmt.Fprintf(env.Stdout, "%s %s: %s\n", now.Format(time.RFC3339), a.Kind, a.Detail)
}
