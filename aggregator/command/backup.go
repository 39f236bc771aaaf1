package command

import (
	"context"
	"flag"
	"fmt"
	"time"

	"repronet.dev/aggregator"
	"repronet.dev/internal/cli"
)

func backup() cli.Command {
	return cli.Command{
		Name: "backup", Synopsis: "DIRECTORY [OPTIONS]", Summary: "copy what cannot be made again",
		About: `  Brings a copy in DIRECTORY up to what the ledger has published: its entries and
  attachments, its key, the secret of pseudonyms, the key of the libp2p listener,
  and the requests that wait. It runs beside the server, copies what is new, and
  checks what it copies; what was erased is removed from the copy, too. Where it is
  broken off, the copy is the one before, and the next run goes on. A copy that is
  of another history of this ledger is not written to.

  The copy has the ledger's private key: it is for nobody else to read. Its log/ is
  a whole copy of the ledger, as a mirror's.

EXAMPLES
  repronet-aggregator backup /backup/repronet-aggregator`,
		Prepare: onDirectory(func(ctx context.Context, line *cli.Progress, data, dir string) (*aggregator.Backup, string, error) {
			b, err := aggregator.TakeBackup(ctx, data, dir, func(done, total uint64) { line.Show("copying: %d of %d entries", done, total) })
			if err != nil {
				return nil, "", fmt.Errorf("backing up %s: %w", data, err)
			}
			return b, fmt.Sprintf("%s has the ledger %s with %d entries, of which %d are new, up to %s", b.Dir, b.Origin, b.Entries, b.New, b.Newest.Format(time.RFC3339)), nil
		}),
	}
}

func restore() cli.Command {
	return cli.Command{
		Name: "restore", Synopsis: "DIRECTORY [OPTIONS]", Summary: "make a data directory of a backup",
		About: `  Copies the backup in DIRECTORY to the data directory, which must not be there or
  be empty, and checks every byte of the ledger. The index is made anew when the
  server starts. What was published after the backup is not in it: if there is a
  mirror or a follower, 'ledger repair --from' brings the rest before the server
  starts, and nothing is lost.

EXAMPLES
  repronet-aggregator restore /backup/repronet-aggregator --data /var/lib/repronet-aggregator`,
		Prepare: onDirectory(func(ctx context.Context, line *cli.Progress, data, dir string) (*aggregator.Backup, string, error) {
			b, err := aggregator.RestoreBackup(ctx, dir, data, showing(line))
			if err != nil {
				return nil, "", fmt.Errorf("restoring %s: %w", dir, err)
			}
			return b, fmt.Sprintf("%s has the ledger %s with %d entries, up to %s; every byte was checked", b.Dir, b.Origin, b.Entries, b.Newest.Format(time.RFC3339)), nil
		}),
	}
}

// onDirectory prepares a command with one argument, the directory of a backup of the data
// directory; do returns what there is now, and a sentence that says so.
func onDirectory(do func(ctx context.Context, line *cli.Progress, data, dir string) (*aggregator.Backup, string, error)) func(*flag.FlagSet) func(context.Context, *cli.Env, []string) error {
	return func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
		var s settings
		s.declareData(flags)
		var out output
		out.declare(flags)
		return func(ctx context.Context, env *cli.Env, args []string) error {
			if len(args) != 1 {
				return cli.Usagef("want one DIRECTORY, got %d arguments", len(args))
			}
			config, err := s.config()
			if err != nil {
				return err
			}
			line := cli.NewProgress(env.Stderr)
			b, said, err := do(ctx, line, config.Data, args[0])
			line.Clear()
			if err != nil {
				return err
			}
			return out.say(env, b, "%s", said)
		}
	}
}
