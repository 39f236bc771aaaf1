package command

import (
	"context"
	"errors"
	"flag"

	"repronet.dev/aggregator/admin"
	"repronet.dev/attestation"
	"repronet.dev/internal/cli"
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
			var out output
			out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) != 1 || *reason == "" {
					return cli.Usagef("want one SHA256 and --reason TEXT")
				}
				sum, err := attestation.ParseAnyDigest(args[0])
				if err != nil {
					return cli.Usagef("%w", err)
				}
				if err := confirm(env, *yes, "An erasure cannot be taken back. Erase it?", "nothing was erased"); err != nil {
					return err
				}
				return s.administer(ctx, env, func(to admin.Caller) error {
					written, err := admin.Erase.Do(ctx, to, admin.Erasure{Attachment: sum, Reason: *reason})
					if err != nil {
						return err
					}
					return out.say(env, written, "erased attachment %s at ledger index %d", sum.Hex(), written.Index)
				})
			}
		},
	}
}

// confirm asks whether to go on, unless the call says yes already. Where no person can be
// asked it is an error that says how to say yes.
func confirm(env *cli.Env, yes bool, question, otherwise string) error {
	if yes {
		return nil
	}
	agreed, err := cli.Ask(env, question)
	switch {
	case errors.Is(err, cli.ErrNoTerminal):
		return cli.Usagef("%s %s: say --yes if you mean it", question, otherwise)
	case err != nil || !agreed:
		return errors.Join(errors.New(otherwise), err)
	}
	return nil
}
