// Package command is the command line of repronet-aggregator.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"repronet/aggregator"
	"repronet/aggregator/admin"
	"repronet/internal/cli"
)

// Program returns the program.
func Program() *cli.Program {
	return &cli.Program{
		Name:    "repronet-aggregator",
		Summary: "collect attestations of builds and show which are reproducible",
		About: `DESCRIPTION
  An aggregator takes signed statements about build outputs from enrolled
  builders, keeps each in an append-only ledger that anybody can copy and check,
  and serves a dashboard and an API of what follows from them.

  The builders and sets commands go to the running server of the data directory
  through its admin socket; without a server they open the directory themselves.

CONFIGURATION
  Each setting of 'serve' can be given in a YAML file (--config), over it by an
  environment variable (REPRONET_AGGREGATOR_LISTEN, …), and over that by a flag.`,
		Commands: []cli.Command{serve(), enrol(), pendingBuilders(), approve(), reject(), vouch(), importOpenPGP(), revoke(), listBuilders(), publishSet(), erase(), reindex()},
	}
}

// settings are the flags that lay over the configuration.
type settings struct {
	path  string
	lay   aggregator.Config
	peers string
	flags *flag.FlagSet
}

func (s *settings) declareData(flags *flag.FlagSet) {
	s.flags = flags
	flags.StringVar(&s.path, "config", "", "YAML configuration `file`")
	flags.StringVar(&s.lay.Data, "data", "", "data `directory` (setting data; "+aggregator.DefaultConfig().Data+")")
	flags.StringVar(&s.lay.Engine, "engine", "", "`path` of libchdb.so (setting engine; default: where 'make engine' puts it)")
	flags.StringVar(&s.lay.ClickHouse, "clickhouse", "", "`URL` of a ClickHouse server to use in place of the embedded engine\n(setting clickhouse)")
}

func (s *settings) declareServe(flags *flag.FlagSet) {
	s.declareData(flags)
	flags.StringVar(&s.lay.Listen, "listen", "", "HTTP address `host:port` (setting listen; "+aggregator.DefaultConfig().Listen+")")
	flags.StringVar(&s.lay.URL, "url", "", "`address` at which everybody else reaches the server, for links and\ncommands on pages (setting url; the address of each request)")
	flags.StringVar(&s.lay.Origin, "origin", "", "`name` of the ledger, for ever: a host name and path of yours\n(setting origin; "+aggregator.DefaultConfig().Origin+")")
	flags.DurationVar(&s.lay.CheckpointInterval, "checkpoint-interval", 0, "`time` between checkpoints of the ledger\n(setting checkpoint_interval; "+aggregator.DefaultConfig().CheckpointInterval.String()+")")
	flags.StringVar(&s.peers, "libp2p", "", "`multiaddrs` to listen on, with commas, such as\n/ip4/0.0.0.0/tcp/4001,/ip4/0.0.0.0/udp/4001/quic-v1 (setting libp2p.listen)")
}

// config returns the configuration: defaults, file, environment, flags.
func (s *settings) config() (aggregator.Config, error) {
	config, err := aggregator.LoadConfig(s.path, os.Getenv)
	if err != nil {
		return config, &cli.ExitError{Status: cli.Usage, Err: err}
	}
	s.flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "data":
			config.Data = s.lay.Data
		case "engine":
			config.Engine = s.lay.Engine
		case "clickhouse":
			config.ClickHouse = s.lay.ClickHouse
		case "listen":
			config.Listen = s.lay.Listen
		case "url":
			config.URL = s.lay.URL
		case "origin":
			config.Origin = s.lay.Origin
		case "checkpoint-interval":
			config.CheckpointInterval = s.lay.CheckpointInterval
		case "libp2p":
			config.Libp2p.Listen = strings.Split(s.peers, ",")
		}
	})
	if err := config.Validate(); err != nil {
		return config, &cli.ExitError{Status: cli.Usage, Err: err}
	}
	return config, nil
}

func newDependencies(stderr io.Writer, level slog.Level) aggregator.Dependencies {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return aggregator.Dependencies{
		Logger:   slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
		Registry: registry,
	}
}

// administer runs an administrative command: on the server of the data
// directory, or on the directory itself where no server runs.
func (s *settings) administer(ctx context.Context, env *cli.Env, do func(admin.Service) error) (err error) {
	config, err := s.config()
	if err != nil {
		return err
	}
	service, err := admin.Dial(ctx, aggregator.SocketPath(config.Data))
	if err == nil {
		return do(service)
	}
	if !errors.Is(err, admin.ErrNoServer) {
		return err
	}
	if _, err := os.Stat(config.Data); err != nil {
		return fmt.Errorf("no data directory: %w (name it with --data)", err)
	}
	a, err := aggregator.Open(ctx, config, newDependencies(env.Stderr, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	if err := a.Load(ctx); err != nil {
		return err
	}
	return do(a)
}
