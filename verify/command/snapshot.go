package command

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/replay"
	"repronet.dev/snapshot"
	"repronet.dev/verify"
)

func snapshotCommand() cli.Command {
	return cli.Command{
		Name: "snapshot", Synopsis: "DIR [--aggregator URL] [OPTIONS]",
		Summary: "make a snapshot of the ledger's data: Parquet files, with no server",
		About: `  Makes the directory DIR from the copy of the ledger on this machine: Parquet files
  of all observations, verdicts, changes, builders, package sets and the rest, with
  their schemas (datapackage.json, croissant.json) and how to cite them. They are the
  files that an aggregator offers for the same ledger, byte for byte, but for the
  signatures, which only the ledger's key can make. With --aggregator the copy of the
  ledger is first extended from there.

EXIT STATUS
  0   made
  2   it could not be done (no network, no pins, DIR is there already)
  3   the ledger is invalid: forged, forked or cut off
  4   undecided: the ledger has entries that only a newer version of this program can
      read
  64  called wrongly

EXAMPLES
  repronet-verify snapshot data --aggregator https://repro.example.org`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var c snapshotter
			c.declare(flags)
			flags.StringVar(&c.aggregator, "aggregator", "", "`url` or multiaddr of an aggregator to extend the copy of the ledger from")
			return withStatus(c.run)
		},
	}
}

func rowsCommand() cli.Command {
	return cli.Command{
		Name: "rows", Synopsis: "DIR VIEW", Summary: "print a view of a snapshot as CSV, for tools that read no Parquet",
		About: `  Prints a line with the names of the columns, then the rows: NULL is an empty field,
  times are in UTC, and the items of a list have spaces between them. The views are
  in docs/research.md, and in the snapshot's datapackage.json.

EXIT STATUS
  0   printed
  2   it could not be done (DIR is no snapshot, there is no such view)
  64  called wrongly

EXAMPLES
  repronet-verify rows data changes > changes.csv`,
		Prepare: func(*flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			return withStatus(func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) != 2 {
					return cli.Usagef("name the directory of a snapshot, and a view")
				}
				to := bufio.NewWriter(env.Stdout)
				return errors.Join(snapshot.WriteCSV(ctx, to, args[0], args[1]), to.Flush())
			})
		},
	}
}

// A snapshotter makes snapshots from the mirror.
type snapshotter struct {
	settings
	aggregator string
}

func (c *snapshotter) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	if len(args) != 1 {
		return cli.Usagef("name the directory to make")
	}
	m, err := c.extended(ctx, env, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	d, err := m.make(ctx, args[0], m.Tree().Size())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: the first %d entries of %s, root %s\n", args[0], d.Size, d.Origin, d.Root)
	return err
}

// extended opens the mirror, and extends it from the aggregator until it has so many
// entries.
func (c *snapshotter) extended(ctx context.Context, env *cli.Env, size uint64) (m *snapshotMirror, err error) {
	pins, mirror, err := c.open(ctx, env)
	if err != nil {
		return nil, err
	}
	m = &snapshotMirror{Mirror: mirror, from: pins.Logs()}
	var done func()
	m.progress, done = progressLine(env.Stderr)
	m.done = done
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if c.aggregator != "" {
		aggregator, err := verify.Dial(c.aggregator)
		if err != nil {
			return m, cli.Usagef("%w", err)
		}
		m.from = []ledger.Fetcher{aggregator.Log()}
		if err := reach(ctx, mirror, aggregator.Log(), size, m.progress); err != nil {
			return m, err
		}
	} else if err := errors.Join(mirror.CheckCosigned(), mirror.Index(ctx, m.progress)); err != nil {
		return m, err
	}
	switch checkpoint := mirror.Checkpoint(); {
	case checkpoint == nil:
		return m, errors.New("nothing of the ledger is here yet: name an --aggregator, or run repronet-verify mirror")
	case checkpoint.Size < size:
		return m, fmt.Errorf("the copy of the ledger has %d entries, and %d are needed: name an --aggregator, or run repronet-verify mirror", checkpoint.Size, size)
	}
	return m, nil
}

// A snapshotMirror is a mirror that snapshots are made from.
type snapshotMirror struct {
	*verify.Mirror
	from     []ledger.Fetcher // of attachments that are not in the mirror
	progress verify.Progress
	done     func()
}

// Close gives the mirror up.
func (m *snapshotMirror) Close() error {
	m.done()
	return m.Mirror.Close()
}

// make makes a snapshot of the first size entries.
func (m *snapshotMirror) make(ctx context.Context, dir string, size uint64) (*snapshot.Description, error) {
	defer m.done()
	tree := m.Tree()
	config := snapshot.Config{
		Dir: dir, Ledger: replay.Ledger{Tree: tree, Size: size, Origin: tree.Origin()},
		Replay: replay.Config{Attachment: m.Attachments(m.from...), Progress: m.progress},
	}
	var err error
	if config.Root, err = tree.Root(ctx, size); err != nil {
		return nil, err
	}
	if config.Ledger.Roster, err = m.RosterEntries(); err != nil {
		return nil, err
	}
	if config.Ledger.Erased, err = m.Erasures(); err != nil {
		return nil, err
	}
	return snapshot.Make(ctx, config)
}

// A provenSnapshot is what replay prints of a snapshot.
type provenSnapshot struct {
	Snapshot   string             `json:"snapshot"` // its directory
	Origin     string             `json:"origin"`
	Entries    uint64             `json:"entries"` // of the ledger
	Root       string             `json:"root"`
	SameBytes  bool               `json:"sameBytes"` // else the same rows, if nothing differs
	Difference *replay.Difference `json:"difference,omitempty"`
	Seconds    float64            `json:"seconds"`
}

// prove checks a snapshot that somebody published, and makes it anew from the ledger.
func (c *replayer) prove(ctx context.Context, env *cli.Env) (err error) {
	begin := time.Now()
	key, err := c.verifier()
	if err != nil {
		return err
	}
	signed, err := snapshot.Check(c.snapshot, key)
	if err != nil {
		return err
	}
	s := snapshotter{c.settings, c.aggregator}
	m, err := s.extended(ctx, env, signed.Size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	root, err := m.Tree().Root(ctx, signed.Size)
	if err != nil {
		return err
	}
	if root != signed.Root {
		return fmt.Errorf("%w: the snapshot is of %d entries with the root %s, and those of the ledger's copy have %s: the key signed two histories",
			ledger.ErrInvalid, signed.Size, signed.Root, root)
	}
	temporary, err := os.MkdirTemp(c.tmp, "snapshot-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	ours := filepath.Join(temporary, "ours")
	if _, err := m.make(ctx, ours, signed.Size); err != nil {
		return err
	}
	result := provenSnapshot{Snapshot: c.snapshot, Origin: signed.Origin, Entries: signed.Size, Root: root.String()}
	result.SameBytes, err = snapshot.Compare(ctx, ours, c.snapshot)
	if difference, ok := errors.AsType[*replay.Difference](err); ok {
		result.Difference, err = difference, nil
	}
	if err != nil {
		return err
	}
	result.Seconds = time.Since(begin).Seconds()
	return c.printProof(env, &result)
}

func (c *replayer) printProof(env *cli.Env, p *provenSnapshot) (err error) {
	switch {
	case c.json:
		err = cli.JSONLine(env.Stdout, p)
	case p.Difference != nil:
		_, err = fmt.Fprintf(env.Stdout, "different: %v\n", p.Difference)
	case p.SameBytes:
		_, err = fmt.Fprintf(env.Stdout, "proven: every byte of %s follows from the ledger's first %d entries; %.1f s\n", p.Snapshot, p.Entries, p.Seconds)
	default:
		_, err = fmt.Fprintf(env.Stdout, "proven: every row of %s follows from the ledger's first %d entries, in the bytes of another version of the program; %.1f s\n", p.Snapshot, p.Entries, p.Seconds)
	}
	if err == nil && p.Difference != nil {
		return cli.Exit(exitDiverged)
	}
	return err
}
