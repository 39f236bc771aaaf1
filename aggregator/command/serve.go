package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"go.yaml.in/yaml/v3"

	"repronet/aggregator"
	"repronet/internal/cli"
)

func serve() cli.Command {
	return cli.Command{
		Name: "serve", Synopsis: "[OPTIONS]", Summary: "run the server",
		About: `  Opens the data directory, makes it where it is not there, reads what the
  ledger holds, and serves until it is told to stop (SIGTERM, SIGINT). When
  requests are answered, the addresses are printed to standard output, one a
  line; messages go to standard error.

  The data directory belongs to one server at a time. What cannot be made again
  is in its ledger/ and in log.key: back these up.

EXIT STATUS
  0   stopped as told
  1   something went wrong; the message says what
  64  the call or the configuration is wrong

EXAMPLES
  repronet-aggregator serve --data /srv/repronet --origin repro.example.org/2026
  repronet-aggregator serve --config /etc/repronet/aggregator.yaml --check`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareServe(flags)
			check := flags.Bool("check", false, "check the configuration, print it as it would hold, and end")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 0 {
					return cli.Usagef("unexpected argument %q", args[0])
				}
				config, err := s.config()
				if err != nil {
					return err
				}
				if *check {
					text, err := yaml.Marshal(config)
					if err != nil {
						return err
					}
					fmt.Fprintf(env.Stdout, "%s", text)
					return nil
				}
				return runServer(ctx, env, config)
			}
		},
	}
}

func runServer(ctx context.Context, env *cli.Env, config aggregator.Config) (err error) {
	deps := newDependencies(env.Stderr, slog.LevelInfo)
	a, err := aggregator.Open(ctx, config, deps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	return a.Serve(ctx, func(addresses []string) {
		for _, address := range addresses {
			fmt.Fprintln(env.Stdout, address)
		}
		deps.Logger.Info("serving", "addresses", addresses, "data", config.Data, "origin", config.Origin)
	})
}
