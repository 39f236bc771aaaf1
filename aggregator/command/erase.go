package command

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"repronet/aggregator/admin"
	"repronet/attestation"
	"repronet/internal/cli"
)

func erase() cli.Command {
	return cli.Command{
		Name: "erase", Synopsis: "SHA256 --reason TEXT [--yes] [OPTIONS]", Summary: "delete what an enrolment says about a person",
		About: `  Deletes an attachment of the ledger for ever: an OpenPGP certificate with names
  and addresses, or the request with which somebody enrolled. 'builders list
  --json' and builders.json name them by their SHA-256. First an entry is written
  to the ledger that says so, with the reason; then the file is deleted, and the
  same bytes are never stored again. Copies of the ledger delete it when they
  learn of the entry. Entries themselves stay: they hold pseudonyms.

  A certificate that is erased was never there: nothing that it signed counts any
  more, earlier documents included, and the index is computed anew without it,
  beside the one in use. Another edition of the same certificate is another
  attachment, and goes on counting until it is erased too; if the edition erased
  had a revocation, that is gone with it, so revoke the builder or erase all
  editions. Erasing a request changes no verdict.

  What no enrolment names is refused. So are the contents of package sets, which
  hold nothing about people and without which nobody could compute the verdicts.

EXIT STATUS
  0   erased
  1   refused, or it failed; standard error says why
  64  the command was called wrongly

EXAMPLES
  repronet-aggregator erase 5f1c… --reason 'asked for by the person' --yes`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			reason := flags.String("reason", "", "`text` that is published beside it; name nobody")
			yes := flags.Bool("yes", false, "erase without asking")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 1 {
					if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
						return cli.Usagef("want one SHA256, then options")
					}
				}
				if len(args) == 0 || *reason == "" {
					return cli.Usagef("want SHA256 and --reason TEXT")
				}
				sum, err := attestation.ParseDigest(args[0])
				if err != nil {
					return cli.Usagef("%w", err)
				}
				if !*yes {
					agreed, err := cli.Ask(env, "An erasure cannot be taken back. Erase it?")
					switch {
					case errors.Is(err, cli.ErrNoTerminal):
						return cli.Usagef("an erasure cannot be taken back: if you mean it, call this with --yes")
					case err != nil || !agreed:
						return errors.Join(errors.New("nothing was erased"), err)
					}
				}
				return s.administer(ctx, env, func(service admin.Service) error {
					index, err := service.Erase(ctx, sum, *reason)
					if err != nil {
						return err
					}
					fmt.Fprintf(env.Stderr, "erased attachment %s at ledger index %d\n", sum.Hex(), index)
					return printJSON(env.Stdout, map[string]any{"index": index})
				})
			}
		},
	}
}
