package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"repronet.dev/aggregator"
	"repronet.dev/internal/cli"
)

func serve() cli.Command {
	return cli.Command{
		Name: "serve", Synopsis: "[OPTIONS]", Summary: "run the server",
		About: `  Opens the data directory, reads what the ledger holds, and serves until it is
  told to stop (SIGTERM, SIGINT). When requests are answered, the addresses are
  printed to standard output, one a line; messages go to standard error. Where no
  ledger is and --origin names one, it is founded first, as 'init' does.

  --check opens what the configuration names, says of each whether it works, and
  prints the configuration as it would hold.

  With --follow the server writes no ledger. It keeps a checked copy of that of
  another aggregator, which --log-key pins, indexes it by itself, and serves pages,
  API and the ledger's files from there; submissions are passed on. If it sees that
  the ledger has two histories, it keeps the proof, says so and ends.

  The data directory belongs to one server at a time. What cannot be made again
  is in its ledger/ and in log.key: back these up.

  The ledger keeps what it takes for ever. How many bytes it takes in a day, of a
  builder, an operator, all of tier open, and of documents by keys that are not
  enrolled, is bounded by the settings budget.total, budget.open, and so on, which
  --check shows.

EXIT STATUS
  0   stopped as told; with --check: all works
  1   something went wrong; the message says what
  64  the call or the configuration is wrong

EXAMPLES
  repronet-aggregator serve --data /srv/repronet --origin repro.example.org/2026
  repronet-aggregator serve --config /etc/repronet/aggregator.yaml --check
  repronet-aggregator serve --data /srv/follower --listen 127.0.0.1:8090 \
      --follow https://repro.example.org --log-key "$(cat log.pub)"`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareServe(flags)
			check := flags.Bool("check", false, "open what the configuration names, report, and end")
			newPseudonyms := flags.Bool("new-pseudonyms", false, "start though pseudonyms.key is lost: identities that ask to be enrolled\nbecome other operators than they were")
			clockIsRight := flags.Bool("clock-is-right", false, "start although the clock is far from the ledger's last entry: it was\ncompared with another clock")
			var out output
			flags.BoolVar(&out.json, "json", false, "with --check: print JSON")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				config, err := s.config()
				if err != nil {
					return err
				}
				config.NewPseudonyms, config.ClockIsRight = *newPseudonyms, *clockIsRight
				if *check {
					return checkServer(ctx, env, &out, config)
				}
				return runServer(ctx, env, config)
			}
		},
	}
}

func runServer(ctx context.Context, env *cli.Env, config aggregator.Config) (err error) {
	deps := newDependencies(env.Stderr, slog.LevelInfo)
	if config.Follow != "" {
		return runFollower(ctx, env, config, deps)
	}
	if _, err := aggregator.Origin(config.Data); errors.Is(err, aggregator.ErrNoLedger) && config.Origin != "" {
		founded, err := aggregator.Found(config)
		if err != nil {
			return err
		}
		deps.Logger.InfoContext(ctx, "founded a ledger", "origin", founded.Origin, "data", founded.Data, "key", founded.Key)
	}
	aggregator.LimitMemory(ctx, config, deps.Logger)
	a, err := aggregator.Open(ctx, config, deps)
	if err != nil {
		return cannotOpen(config, err)
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	return a.Serve(ctx, func(addresses []string) {
		for _, address := range addresses {
			fmt.Fprintln(env.Stdout, address)
		}
		deps.Logger.Info("serving", "addresses", addresses, "data", config.Data, "origin", a.Origin())
	})
}

func runFollower(ctx context.Context, env *cli.Env, config aggregator.Config, deps aggregator.Dependencies) (err error) {
	aggregator.LimitMemory(ctx, config, deps.Logger)
	f, err := aggregator.OpenFollower(ctx, config, deps)
	if err != nil {
		return cannotOpen(config, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Serve(ctx, func(addresses []string) {
		for _, address := range addresses {
			fmt.Fprintln(env.Stdout, address)
		}
		deps.Logger.Info("serving", "addresses", addresses, "data", config.Data, "follows", config.Follow)
	})
}

func initialize() cli.Command {
	return cli.Command{
		Name: "init", Synopsis: "--origin NAME [OPTIONS]", Summary: "found a ledger",
		About: `  Makes the data directory and in it the key of a new ledger, and prints the public
  key, which readers of the ledger pin. The origin names the ledger for ever and is
  part of its key: a host name and path under your control. Where a ledger is, or
  what is left of one, nothing is changed.

EXAMPLES
  repronet-aggregator init --data /var/lib/repronet-aggregator --origin repro.example.org/2026`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			s.declare("origin", "origin", "`name` of the ledger, for ever (setting origin)")
			var out output
			out.declare(flags)
			return func(_ context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				config, err := s.config()
				if err != nil {
					return err
				}
				if config.Origin == "" {
					return cli.Usagef("want --origin NAME: a host name and path under your control, such as repro.example.org/2026, which cannot change later")
				}
				founded, err := aggregator.Found(config)
				if err != nil {
					return err
				}
				return out.say(env, founded, "founded the ledger %s in %s\nits key, for readers to pin: %s\nback up %s/log.key: without it the ledger cannot go on",
					founded.Origin, founded.Data, founded.Key, founded.Data)
			}
		},
	}
}
