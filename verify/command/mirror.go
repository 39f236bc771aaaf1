package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"repronet.dev/internal/cli"
)

func mirror() cli.Command {
	return cli.Command{
		Name: "mirror", Synopsis: "[OPTIONS]", Summary: "extend the copy of the ledger",
		About: `  Fetches what the ledger has grown by since the last time, checks that it
  continues what was seen and that every entry is in the tree that the log
  signed, and indexes it. What was fetched when this is broken off is not fetched
  again. The directory "log" of the copy is a whole ledger, which any static web
  server can serve.

  Tells how old the newest state is: since when its last entry is there, or since
  when so many of the pinned witnesses as are asked for have cosigned it. One that is
  older than --max-age is kept, but refused.

EXIT STATUS
  0   the copy is up to date
  2   it cannot be extended (no network, no pins), or is older than --max-age
  3   the log is invalid: forged, forked, rewritten or cut off; or fewer of the
      pinned witnesses cosigned it than are asked for
  64  called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declare(flags)
			var maxAge time.Duration
			declareMaxAge(flags, &maxAge)
			asJSON := flags.Bool("json", false, "print a JSON document")
			return withStatus(func(ctx context.Context, env *cli.Env, args []string) (err error) {
				if len(args) > 0 {
					return cli.Usagef("unexpected argument %q", args[0])
				}
				pins, mirror, err := s.open(ctx, env)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, mirror.Close()) }()
				if err := update(ctx, env, pins, mirror, maxAge); err != nil {
					return err
				}
				alive, err := mirror.Alive(ctx)
				if err != nil {
					return err
				}
				c := mirror.Checkpoint()
				if *asJSON {
					return cli.JSONLine(env.Stdout, struct {
						Origin string    `json:"origin"`
						Size   uint64    `json:"size"`
						Root   string    `json:"root"`
						Alive  time.Time `json:"alive,omitzero"`
					}{c.Origin, c.Size, c.Root.String(), alive.UTC()})
				}
				_, err = fmt.Fprintf(env.Stdout, "%s: %d entries, root %s, %s\n", c.Origin, c.Size, c.Root, age(alive))
				return err
			})
		},
	}
}

func checkpoint() cli.Command {
	return cli.Command{
		Name: "checkpoint", Synopsis: "[OPTIONS]", Summary: "print the state of the ledger that was verified last",
		About: `  Prints the signed checkpoint that the copy of the ledger is verified up to, as
  the log signed it, without asking anybody. If somebody else's copy has a
  checkpoint that this one does not continue, the log shows different people
  different histories.

EXIT STATUS
  0   printed
  2   there is no copy yet
  64  called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declare(flags)
			return withStatus(func(ctx context.Context, env *cli.Env, args []string) (err error) {
				if len(args) > 0 {
					return cli.Usagef("unexpected argument %q", args[0])
				}
				_, mirror, err := s.open(ctx, env)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, mirror.Close()) }()
				c := mirror.Checkpoint()
				if c == nil {
					return errors.New("nothing of the ledger is here yet: run repronet-verify mirror")
				}
				_, err = env.Stdout.Write(c.Text)
				return err
			})
		},
	}
}
