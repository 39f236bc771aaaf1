package command

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
)

func withdrawCommand() cli.Command {
	return cli.Command{
		Name:     "withdraw",
		Synopsis: "(OUTPUT… | --statement INDEX) --reason TEXT [--json] [--dir DIRECTORY]",
		Summary:  "take back what this builder said",
		About: `  Records that this builder does not claim any more what it claimed about the
  outputs, or in the statement at a ledger index: the machine was broken, or the
  build was not what it said it was. The next 'run' delivers it. From then on the
  claims do not count; they stay in the ledger, with the reason beside them.

  The claims are looked up at the aggregator and read from its ledger, with proof.
  Only claims that this installation's keys signed can be taken back: the present one,
  or one that 'rotate' replaced, whose withdrawal is sent at once. A key that was revoked
  says nothing any more: ask the aggregator's operator to revoke it from an earlier entry.

EXIT STATUS
  0   recorded; what is withdrawn is on standard output
  1   there is nothing to withdraw, or it could not be read
  64  the command was called wrongly
  75  the aggregator could not be reached; try again later

EXAMPLES
  repronet-reporter withdraw /nix/store/4i0k…-hello-2.12.1 --reason 'the disk was broken'
  repronet-reporter withdraw --statement 4711 --reason 'built with a patched compiler'`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			statement := flags.Int64("statement", -1, "the `index` in the ledger of the statement to take back as a whole")
			reason := flags.String("reason", "", "`text` that is published beside it")
			asJSON := flags.Bool("json", false, "print one JSON array of what is withdrawn")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				outputs, err := outputArguments(flags, args)
				if err != nil {
					return err
				}
				if (len(outputs) == 0) == (*statement < 0) {
					return cli.Usagef("want either OUTPUTs or --statement INDEX")
				}
				if strings.TrimSpace(*reason) == "" || len(*reason) > attestation.MaxTextLength {
					return cli.Usagef("want --reason TEXT of at most %d bytes", attestation.MaxTextLength)
				}
				desk, err := openDesk(ctx, dir)
				if err != nil {
					return err
				}
				defer desk.Close()
				var withdrawn []spool.Output
				if *statement >= 0 {
					withdrawn, err = withdraw(ctx, desk, []uint64{uint64(*statement)}, nil, *reason)
				}
				for _, output := range outputs {
					var indices []uint64
					var more []spool.Output
					if indices, err = desk.Claims(ctx, output); err != nil {
						err = askError(err)
						break
					}
					more, err = withdraw(ctx, desk, indices, []string{output}, *reason)
					withdrawn = append(withdrawn, more...)
					if err != nil {
						break
					}
				}
				return errors.Join(err, printOutputs(env, withdrawn, *asJSON))
			}
		},
	}
}

// outputArguments returns the arguments, between which flags may stand.
func outputArguments(flags *flag.FlagSet, args []string) (outputs []string, err error) {
	for len(args) > 0 {
		i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
		if i < 0 {
			return append(outputs, args...), nil
		}
		outputs = append(outputs, args[:i]...)
		if err := flags.Parse(args[i:]); err != nil {
			return nil, cli.Usagef("%w", err)
		}
		args = flags.Args()
	}
	return outputs, nil
}

// withdraw takes statements back, and returns what they said, as far as that was done.
func withdraw(ctx context.Context, desk *reporter.Desk, indices []uint64, outputs []string, reason string) (withdrawn []spool.Output, err error) {
	for _, index := range indices {
		more, err := desk.Withdraw(ctx, index, outputs, reason)
		if err != nil {
			return withdrawn, err
		}
		withdrawn = append(withdrawn, more...)
	}
	return withdrawn, nil
}
