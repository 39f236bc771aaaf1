package command

import (
	"context"
	"flag"
	"fmt"

	"repronet.dev/internal/cli"
)

func requeueCommand() cli.Command {
	return cli.Command{
		Name:     "requeue",
		Synopsis: "[--json] [--dir DIRECTORY]",
		Summary:  "send again what the aggregator refused",
		About: `  Puts the refused statements ('status' shows them, with the reasons) back among those
  to be sent, as they were signed. That is of use when the reason is gone: a clock was
  wrong, on this machine or the aggregator's, or the aggregator was. The next pass of
  'run' sends them; a 'run' that is at work need not be stopped.

EXIT STATUS
  0   they will be sent, or there are none
  1   the spool could not be read or written
  64  the command was called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			asJSON := flags.Bool("json", false, "print one JSON object")
			return func(_ context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				home, err := dir()
				if err != nil {
					return err
				}
				if _, err := home.Config(); err != nil {
					return err
				}
				n, err := home.Spool().AskRequeue()
				if err != nil {
					return err
				}
				if *asJSON {
					_, err = fmt.Fprintf(env.Stdout, "{\"requeued\": %d}\n", n)
					return err
				}
				if n == 0 {
					_, err = fmt.Fprintln(env.Stdout, "no statement was refused")
				} else {
					_, err = fmt.Fprintf(env.Stdout, "%d refused statements will be sent again by the next pass of 'run'\n", n)
				}
				return err
			}
		},
	}
}
