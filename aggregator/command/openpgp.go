package command

import (
	"context"
	"flag"

	"repronet.dev/aggregator/admin"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/cli"
)

func importOpenPGP() cli.Command {
	return cli.Command{
		Name: "builders import-openpgp", Synopsis: "--project NAME [DIR] [--keys DIR]… [OPTIONS]", Summary: "accept the OpenPGP keys of a project",
		About: `  Enrols the certificates in DIR and in all folders in it, and in each --keys DIR,
  for one project: the documents of the project that they sign count from then on.
  They count for no other project. A file of keys is told by how it begins, whatever
  it is called; every file is accounted for.

  Each file is one operator, however many certificates it holds. The operator's
  name is made of the file's, and of a number where another operator has that
  name; somebody who is enrolled already stays the same operator. One person's
  several files are imported as one operator with --operator-of FILE=NAME for each,
  or with --operators FILE, which has a line "FILE=NAME" for each. Files that look
  like one person's, because a user id is in both, are pointed out. Names and
  addresses in the certificates are in attachments to the ledger, not in its
  entries.

  A key that can never count is enrolled, so that what it signed is shown as its
  owner's, and named with the reason: a DSA key, RSA of less than 2,048 bits, one
  that was revoked as compromised, and one by which nothing in DIR counts, because it
  had expired before, or signed with SHA-1 only.

  What is enrolled already is passed over, so calling it again after an update of
  DIR enrols what is new.

EXIT STATUS
  0   all certificates are enrolled
  1   some are not, or none was found; standard error says which
  64  the command was called wrongly

EXAMPLES
  repronet-aggregator builders import-openpgp --project bitcoin-core ~/guix.sigs
  repronet-aggregator builders import-openpgp --project demo ~/sigs/1.0 \
      --keys ~/sigs/builder-keys --operator-of ana-old.gpg=ana --operator-of ana.gpg=ana`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			project := flags.String("project", "", "`name` of the project; output keys begin with it")
			tier := flags.String("tier", string(enrolment.Counted), "`tier`: counted (moves verdicts) or open (shown only)")
			var keys []string
			flags.Func("keys", "another `directory` with keys; may be given several times", func(dir string) error {
				keys = append(keys, dir)
				return nil
			})
			operators := declareOperatorsOf(flags)
			var out output
			out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 1 || len(args)+len(keys) == 0 || *project == "" {
					return cli.Usagef("want --project NAME and one DIR, or --keys DIR")
				}
				if err := openpgp.ValidateProject(*project); err != nil {
					return cli.Usagef("--project: %v", err)
				}
				of, err := operators.read()
				if err != nil {
					return cli.Usagef("%w", err)
				}
				return s.administer(ctx, env, func(to admin.Caller) error {
					i := newImporter(to, *project, enrolment.Tier(*tier))
					i.operatorsOf = of
					return i.run(ctx, env, &out, append(args, keys...))
				})
			}
		},
	}
}
