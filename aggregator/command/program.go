// Package command is the command line of repronet-aggregator.
//
// Each command is flags, then one administrative call (package admin), then what is
// printed of its answer: results on standard output, as JSON with --json, and messages
// on standard error.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"repronet.dev/aggregator"
	"repronet.dev/aggregator/admin"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger/writer"
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

  'init' founds a ledger, or the first 'serve' with an --origin. All other commands
  go to the running server of the data directory through its admin socket; without
  a server they open the directory themselves. Where a command wants a BUILDER, the
  first characters of its ID are enough, as long as no other builder's begins so.

CONFIGURATION
  Each setting of 'serve' can be given in a YAML file (--config), over it by an
  environment variable (REPRONET_AGGREGATOR_LISTEN, …), and over that by a flag.
  'serve --check' shows what would hold and opens what it names.`,
		Commands: []cli.Command{
			initialize(), serve(),
			enrol(), pendingBuilders(), approve(), reject(), vouch(), importOpenPGP(), revoke(), listBuilders(),
			publishSet(), listSets(), showSet(), diffSets(), retireSet(),
			subscribe(), listSubscriptions(), unsubscribe(), testSubscription(),
			erase(), reindex(), makeSnapshot(), backup(), restore(), checkLedger(), repairLedger(),
			sqlWorker(),
		},
	}
}

// settings are the flags that lay over the configuration.
type settings struct {
	path  string
	flags *flag.FlagSet
	names map[string]string // flag → setting
}

// declare adds a flag for a setting.
func (s *settings) declare(name, setting, usage string) {
	s.names[name] = setting
	s.flags.String(name, "", usage)
}

func (s *settings) declareData(flags *flag.FlagSet) {
	s.flags, s.names = flags, map[string]string{}
	flags.StringVar(&s.path, "config", "", "YAML configuration `file`")
	s.declare("data", "data", "data `directory` (setting data; "+aggregator.DefaultConfig().Data+")")
	s.declare("engine", "engine", "`path` of libchdb.so (setting engine; default: where 'make engine' puts it)")
	s.declare("clickhouse", "clickhouse", "`URL` of a ClickHouse server to use in place of the embedded engine\n(setting clickhouse)")
}

func (s *settings) declareServe(flags *flag.FlagSet) {
	s.declareData(flags)
	s.declare("listen", "listen", "HTTP address `host:port` (setting listen; "+aggregator.DefaultConfig().Listen+")")
	s.declare("url", "url", "`address` at which everybody else reaches the server, for links and\ncommands on pages (setting url; the address that a connection was made to)")
	s.declare("proxies", "proxies", "`addresses` of proxies that are believed about whom a request is from, with\ncommas (setting proxies; nobody is)")
	s.declare("max-connections", "max_connections", "`number` of connections that may be open (setting max_connections;\n2048, or half of the descriptors)")
	s.declare("webhook", "webhook", "`URL` to which is posted that requests to be enrolled wait (setting webhook)")
	s.declare("origin", "origin", "`name` of the ledger, for ever: a host name and path of yours. Where no\nledger is, one of that name is founded (setting origin; the ledger's)")
	s.declare("checkpoint-interval", "checkpoint_interval", "`time` between checkpoints of the ledger\n(setting checkpoint_interval; "+aggregator.DefaultConfig().CheckpointInterval.String()+")")
	s.declare("follow", "follow", "`address` of an aggregator whose ledger is copied and served (setting follow)")
	s.declare("log-key", "log_key", "`key` of the ledger that is followed (setting log_key)")
	s.declare("max-lag", "max_lag", "`time` for which the followed aggregator may be silent until the follower is\nnot ready any more (setting max_lag; "+aggregator.DefaultConfig().MaxLag.String()+")")
	s.declare("libp2p", "libp2p.listen", "`multiaddrs` to listen on, with commas, such as\n/ip4/0.0.0.0/tcp/4001,/ip4/0.0.0.0/udp/4001/quic-v1 (setting libp2p.listen)")
}

// config returns the configuration: defaults, file, environment, flags.
func (s *settings) config() (aggregator.Config, error) {
	loaded, err := aggregator.LoadSettings(s.path, os.Environ())
	if err == nil {
		s.flags.Visit(func(f *flag.Flag) {
			if setting, ours := s.names[f.Name]; ours && err == nil {
				err = loaded.Set(setting, f.Value.String(), "--"+f.Name)
			}
		})
	}
	if err == nil {
		err = loaded.Validate()
	}
	if err != nil {
		return aggregator.Config{}, &cli.ExitError{Status: cli.Usage, Err: err}
	}
	return loaded.Config, nil
}

func newDependencies(stderr io.Writer, level slog.Level) aggregator.Dependencies {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return aggregator.Dependencies{
		Logger:   slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
		Registry: registry,
	}
}

// administer runs an administrative command: on the server of the data directory, or on
// the directory itself where no server runs. It founds no ledger, and takes the ledger's
// name from its key, so that no setting can be wrong about it.
func (s *settings) administer(ctx context.Context, env *cli.Env, do func(admin.Caller) error) (err error) {
	config, err := s.config()
	if err != nil {
		return err
	}
	server, err := admin.Dial(ctx, aggregator.SocketPath(config.Data))
	if err == nil {
		return do(server)
	}
	if !errors.Is(err, admin.ErrNoServer) {
		return err
	}
	config.Origin = ""
	deps := newDependencies(env.Stderr, slog.LevelWarn)
	aggregator.LimitMemory(ctx, config, deps.Logger)
	a, err := aggregator.Open(ctx, config, deps)
	if err != nil {
		return cannotOpen(config, err)
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	if err := a.Load(ctx); err != nil {
		return err
	}
	return do(a.Administration())
}

// cannotOpen says what to do where a data directory cannot be opened.
func cannotOpen(config aggregator.Config, err error) error {
	switch {
	case errors.Is(err, aggregator.ErrFollower):
		return fmt.Errorf("%s has a copy of a ledger that another server writes: run this there, or serve the copy with --follow", config.Data)
	case errors.Is(err, aggregator.ErrNoLedger):
		return fmt.Errorf("%s has no ledger: name the aggregator's data directory with --data, or found a ledger there with 'repronet-aggregator init --data %s --origin NAME'", config.Data, config.Data)
	case errors.Is(err, writer.ErrLocked):
		return fmt.Errorf("another process has the ledger in %s open and takes no commands: if it is a server that starts or stops, try again in a minute; if it is another command, wait for its end", config.Data)
	default:
		return err
	}
}
