package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"repronet.dev/aggregator"
	"repronet.dev/api"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// Exit statuses of the ledger commands.
const (
	exitRepairable = 2
	exitIncomplete = 3
)

func checkLedger() cli.Command {
	return cli.Command{
		Name: "ledger check", Synopsis: "[OPTIONS]", Summary: "verify every byte of the ledger",
		About: `  Reads every entry, tile and attachment of the data directory's ledger and
  compares them with each other and with the checkpoint that its key signed. Of
  attachments those that are there are checked: one that is missing was erased, or
  the index stops at the entry that names it, and says so. It
  changes nothing and may run beside the server; then what no checkpoint covers yet
  is left out. Each file that is wrong is printed, a line each, with what is wrong
  and what takes it away: repair (ledger repair makes it from what is there) or
  copy (only a copy of the ledger has it).

EXIT STATUS
  0   the ledger is whole
  1   it could not be read to the end
  2   it is damaged, and 'repronet-aggregator ledger repair' mends it
  3   it is damaged, and a copy is needed: 'ledger repair --from DIR|URL'
  64  called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			var out output
			out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				dir, key, err := s.ledger(args)
				if err != nil {
					return err
				}
				line := cli.NewProgress(env.Stderr)
				report, err := writer.Check(ctx, dir, key, showing(line))
				line.Clear()
				if err != nil {
					return err
				}
				err = out.print(env, report, func(io.Writer) error { printReport(env, report); return nil })
				return errors.Join(err, checkStatus(report))
			}
		},
	}
}

func printReport(env *cli.Env, report *writer.Report) {
	for _, f := range report.Findings {
		fmt.Fprintf(env.Stdout, "%s\t%s\t%s\n", f.Remedy, f.Path, f.What)
	}
	fmt.Fprintf(env.Stderr, "checked %d entries, of which %d are published, and %d attachments: %d files are wrong\n",
		report.Entries, report.Checkpoint, report.Attachments, len(report.Findings))
	if report.Running {
		fmt.Fprintln(env.Stderr, "a server writes this ledger: what no checkpoint covers yet was left out")
	}
}

func checkStatus(report *writer.Report) error {
	switch report.Worst() {
	case writer.Repairable:
		return &cli.ExitError{Status: exitRepairable, Err: errors.New("the ledger is damaged: stop the server and run repronet-aggregator ledger repair")}
	case writer.Copyable:
		return &cli.ExitError{Status: exitIncomplete, Err: errors.New("the ledger is damaged, and a copy is needed: stop the server and run repronet-aggregator ledger repair --from DIR|URL, with a mirror's or a backup's copy")}
	}
	return nil
}

func repairLedger() cli.Command {
	return cli.Command{
		Name: "ledger repair", Synopsis: "[--from DIR|URL] [OPTIONS]", Summary: "mend a damaged ledger",
		About: `  Makes anew what follows from the ledger's entries: tiles, and the writer's
  state. What does not follow, entries and attachments, comes from a copy of the
  same ledger: the log directory of a mirror (repronet-verify mirror) or of a
  backup, or the URL of an aggregator or mirror that serves it. Nothing of the copy
  is written before it is checked under log.key, and nothing is signed. Each thing
  that was done is told on standard error. The server must not be running.

  With --accept-loss, what was published and is in no copy is given up, and the
  ledger goes on with the entries before it. Everybody who saw what is given up can
  prove that this ledger signed two histories; reporters submit again what their
  receipts say was there.

EXIT STATUS
  0   the ledger is whole
  1   something went wrong; the message says what
  3   entries are missing or damaged, and no copy was given that has them
  64  called wrongly

EXAMPLES
  repronet-aggregator ledger repair --data /srv/repronet
  repronet-aggregator ledger repair --from ~/.local/share/repronet/mirrors/repro.example.org_2026-5f3c6d0e/log
  repronet-aggregator ledger repair --from https://mirror.example.org`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			from := flags.String("from", "", "`place` of a copy of this ledger: a directory or a URL")
			acceptLoss := flags.Bool("accept-loss", false, "give up what is in no copy")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				dir, key, err := s.ledger(args)
				if err != nil {
					return err
				}
				line := cli.NewProgress(env.Stderr)
				config := writer.RepairConfig{
					Dir: dir, Key: key, AcceptLoss: *acceptLoss, Progress: showing(line),
					Say: func(done string) { line.Clear(); fmt.Fprintln(env.Stderr, done) },
				}
				if *from != "" {
					config.From = copyOf(*from)
				}
				err = writer.Repair(ctx, config)
				line.Clear()
				if _, damaged := errors.AsType[*writer.DamageError](err); damaged {
					return &cli.ExitError{Status: exitIncomplete, Err: err}
				}
				if errors.Is(err, writer.ErrLocked) {
					return fmt.Errorf("%w: stop the server first", err)
				}
				if err == nil {
					fmt.Fprintln(env.Stderr, "the ledger is whole")
				}
				return err
			}
		},
	}
}

// ledger returns the directory of the data directory's ledger, and its key.
func (s *settings) ledger(args []string) (string, *writer.Key, error) {
	if err := noArguments(args); err != nil {
		return "", nil, err
	}
	config, err := s.config()
	if err != nil {
		return "", nil, err
	}
	key, err := writer.LoadKey(filepath.Join(config.Data, aggregator.KeyFile))
	if err != nil {
		return "", nil, fmt.Errorf("%w (name the data directory with --data)", err)
	}
	return filepath.Join(config.Data, aggregator.LedgerDir), key, nil
}

// copyOf reads a copy of a ledger: from a directory, from an aggregator, or from any
// URL below which the log's files are.
func copyOf(place string) ledger.Fetcher {
	if !strings.HasPrefix(place, "http://") && !strings.HasPrefix(place, "https://") {
		for _, below := range []string{"", "log", aggregator.LedgerDir} { // a mirror, a data directory
			if _, err := os.Stat(filepath.Join(place, below, "checkpoint")); err == nil {
				return ledger.Dir(filepath.Join(place, below))
			}
		}
		return ledger.Dir(place)
	}
	base := strings.TrimRight(place, "/")
	if !strings.HasSuffix(base, api.LogPath) {
		base += api.LogPath
	}
	return ledger.HTTP(&http.Client{Timeout: 2 * time.Minute}, base)
}

func showing(line *cli.Progress) writer.Progress {
	return func(work string, done, total uint64) {
		line.Show("%s: %d of %d (%d %%)", work, done, total, done*100/max(total, 1))
	}
}
