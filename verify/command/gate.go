package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/internal/cli"
	"repronet.dev/verify/gate"
	"repronet.dev/verify/policy"
)

func gateCommand() cli.Command {
	return cli.Command{
		Name: "gate", Synopsis: "--upstream URL --policy FILE [--listen ADDRESS] [--fail-open] [OPTIONS]",
		Summary: "serve what a Nix binary cache has and a policy accepts",
		About: `  A binary cache for Nix that stands before another one. Of what that has, it lets
  through the store paths that the policy (docs/policy.md) accepts with exactly
  the NAR hash that is offered. The cache's own signatures stay as they are, so Nix
  goes on checking them. Each NAR is unpacked and hashed on its way, and its end
  comes only if it is the right one.

  What is refused is answered with 404, which Nix takes for "not in this cache":
  it asks another cache or builds. The reason is in the answer (curl the .narinfo),
  in the header Repronet-Refused, in the log on standard error, and on the page at
  http://ADDRESS/. Nix remembers for an hour that a path is missing: set
  narinfo-cache-negative-ttl = 0 where a refusal may soon be an acceptance.

  The ledger is followed in the background. If it was not seen for longer than
  --max-stale, or turns out to be invalid, nothing is let through; with
  --fail-open, then what the known evidence does not contradict. A state that too few
  of the pinned witnesses cosigned, or that is older than --max-age, does not count
  as seen.

  In nix.conf:  substituters = http://127.0.0.1:8380
  There must be no other cache beside it that has the same and no gate.

EXIT STATUS
  0   it was told to end
  2   it cannot serve
  64  called wrongly

EXAMPLES
  repronet-verify gate --upstream https://cache.example.org --policy policy.yaml

FILES
  ~/.local/share/repronet/mirrors/NAME-gate  its own copy of the ledger, which
  stays open; --mirror DIR for another place`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			g := gateRun{settings: settings{apart: "-gate"}}
			g.declare(flags)
			flags.StringVar(&g.options.Upstream, "upstream", "", "`url` of the binary cache: http:, https:, or file: of a directory")
			flags.StringVar(&g.policy, "policy", "", "`file` of the policy")
			flags.StringVar(&g.listen, "listen", "127.0.0.1:8380", "`address` to serve on")
			flags.BoolVar(&g.options.FailOpen, "fail-open", false, "let through what nothing is known against while evidence is stale or the log invalid")
			flags.DurationVar(&g.options.Refresh, "refresh", time.Minute, "how often to look at the ledger, as a `duration`")
			flags.DurationVar(&g.options.MaxStale, "max-stale", time.Hour, "how long ago it may have been seen last, as a `duration`")
			declareMaxAge(flags, &g.options.MaxAge)
			return withStatus(g.run)
		},
	}
}

type gateRun struct {
	settings
	policy, listen string
	options        gate.Config
}

func (g *gateRun) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) > 0:
		return cli.Usagef("unexpected argument %q", args[0])
	case g.options.Upstream == "":
		return cli.Usagef("want --upstream URL: which binary cache is behind the gate?")
	case g.policy == "":
		return cli.Usagef("want --policy FILE: what should be accepted? See docs/policy.md")
	case g.options.Refresh <= 0 || g.options.MaxStale < g.options.Refresh:
		return cli.Usagef("--max-stale %s must not be less than --refresh %s, nor that 0", g.options.MaxStale, g.options.Refresh)
	}
	if g.options.Policy, err = policy.Load(g.policy); err != nil {
		return cli.Usagef("%w", err)
	}
	pins, mirror, err := g.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	g.options.Pins = pins
	handler, err := gate.New(g.options, mirror, slog.New(slog.NewTextHandler(env.Stderr, nil)))
	if err != nil {
		return cli.Usagef("--upstream: %w", err)
	}
	defer handler.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", g.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintf(env.Stderr, "serving on http://%s/\n", listener.Addr())
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 2 * time.Minute, // longer for a NAR, by its size
		IdleTimeout:  2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		handler.Run(groupCtx)
		return nil
	})
	group.Go(func() error { return serve(groupCtx, listener, server) })
	return group.Wait()
}
