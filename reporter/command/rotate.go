package command

import (
	"context"
	"flag"
	"log/slog"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
)

func rotateCommand() cli.Command {
	return cli.Command{
		Name:     "rotate",
		Synopsis: "[--key KEY] [--revoke] [--json] [--dir DIRECTORY]",
		Summary:  "replace the builder's key",
		About: `  Makes a new key, which the old one endorses, and asks the aggregator to enrol it
  for the same operator, in the same tier, and for no longer than the old one. That
  needs no decision of a person. Once a receipt proves it, the new key is used; a 'run'
  that is at work follows by itself. Statements that the old key signed are still
  delivered, and still count.

  With --revoke the old key is refused from then on; what it said before stays.
  Everything in the spool is delivered first, so no 'run' may be at work. If the
  old key is stolen, do not trust what it endorses: ask the aggregator's operator to
  revoke it, and enrol with a new directory.

  Interrupted, it can be called again. The file of the old key stays; delete it
  when 'status' shows no more statements that wait. A claim can only be withdrawn
  with the key that made it.

EXIT STATUS
  0   the new key is in use
  1   the old key stays in use
  64  the command was called wrongly
  75  the aggregator could not be reached or is busy, or a 'run' is at work
      (with --revoke); the old key stays in use

EXAMPLES
  repronet-reporter rotate
  repronet-reporter rotate --key ssh-agent:builder-2027 --revoke`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			var r reporter.Rotation
			flags.StringVar(&r.Key, "key", "", "the new `key`: FILE (PKCS#8), nix:FILE, ssh:FILE or ssh-agent:NAME;\nwithout it a new key is made")
			flags.BoolVar(&r.Revoke, "revoke", false, "have the old key refused from then on")
			asJSON := flags.Bool("json", false, "print one JSON object")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				home, err := dir()
				if err != nil {
					return err
				}
				r.Logger = slog.New(slog.NewTextHandler(env.Stderr, nil))
				answer, err := home.Rotate(ctx, r)
				if err != nil {
					return askError(err)
				}
				return printEnrolment(env.Stdout, answer, *asJSON)
			}
		},
	}
}
