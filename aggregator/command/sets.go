package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"repronet/aggregator/admin"
	"repronet/internal/cli"
)

func publishSet() cli.Command {
	return cli.Command{
		Name: "sets publish", Synopsis: "NAME --revision R --from FILE [OPTIONS]", Summary: "publish a package set",
		About: `  Writes a package set to the ledger: the outputs of a channel, an image's
  closure, a release at a revision. Reporters attest only outputs of the sets
  that their volunteers chose, and the dashboard counts by sets.

  FILE holds output keys, one a line (for Nix store paths, as
  'nix path-info -r' prints them), or the JSON lines of nix-eval-jobs, from which
  attribute, version, system, maintainers and input edges are taken; - reads
  standard input. The same name again, with another revision, replaces the set.

EXAMPLES
  nix-eval-jobs release.nix | repronet-aggregator sets publish nixos-unstable --revision 5b35d24 --from -`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			revision := flags.String("revision", "", "`revision`, as the set's publisher calls it")
			from := flags.String("from", "", "`file` to read, or - for standard input")
			ecosystem := flags.String("ecosystem", "nix", "`ecosystem` of the outputs")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 1 {
					if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
						return cli.Usagef("want one NAME, then options")
					}
				}
				if len(args) == 0 || *revision == "" || *from == "" {
					return cli.Usagef("want NAME, --revision R and --from FILE")
				}
				list := env.Stdin
				if *from != "-" {
					file, err := os.Open(*from)
					if err != nil {
						return fmt.Errorf("reading the set: %w", err)
					}
					defer file.Close()
					list = file
				}
				set := admin.Set{Name: args[0], Revision: *revision, Ecosystem: *ecosystem}
				return s.administer(ctx, env, func(service admin.Service) error { return publish(ctx, env, service, set, list) })
			}
		},
	}
}

func publish(ctx context.Context, env *cli.Env, service admin.Service, set admin.Set, list io.Reader) error {
	published, err := service.PublishSet(ctx, set, list)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "published %s at revision %s: %d outputs, ledger index %d\n", set.Name, set.Revision, published.Members, published.Index)
	if published.Failed > 0 {
		fmt.Fprintf(env.Stderr, "%d attributes could not be evaluated and are not in it\n", published.Failed)
	}
	return printJSON(env.Stdout, published)
}

func reindex() cli.Command {
	return cli.Command{
		Name: "reindex", Synopsis: "[OPTIONS]", Summary: "rebuild the index from the ledger",
		About: `  Computes every verdict and count anew from the ledger, beside the index that
  is in use, and swaps the new one in. A running server goes on serving.`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 0 {
					return cli.Usagef("unexpected argument %q", args[0])
				}
				return s.administer(ctx, env, func(service admin.Service) error { return service.Reindex(ctx, env.Stderr) })
			}
		},
	}
}
