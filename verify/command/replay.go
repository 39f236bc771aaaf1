package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"repronet.dev/divergence"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/replay"
	"repronet.dev/verify"
)

func replayCommand() cli.Command {
	return cli.Command{
		Name: "replay", Synopsis: "[--aggregator URL] [--snapshot DIR] [OPTIONS]",
		Summary: "compute every verdict from the ledger, and compare with what is published",
		About: `  Reads the whole ledger, checks every signature under the keys that the ledger's
  own enrolments name, and computes every verdict, its history, the counts by day
  and package set, and the root of the newest verifiable map. With --aggregator it
  first extends the copy of the ledger from there, and compares all of that with
  what the aggregator publishes: what does not follow from its ledger is named.

  What the ledger's operator had to erase about people counts as never having been
  there, so that whoever replays comes to the same end; how many attachments that
  are is said. An attachment that is missing and was not erased makes the ledger
  invalid.

  With --snapshot it proves a snapshot that was published (Parquet files, see docs/research.md)
  in place of that: that the ledger's key signed exactly these files, and that every
  row follows from the ledger. With --aggregator the copy of the ledger is extended
  from there first.

  No pins of builders are used: the question is not whom you believe, but whether
  the aggregator computes as it says.

EXIT STATUS
  0   identical; without --aggregator: computed, and the map root is right
  1   something published differs; the first difference is printed, of a snapshot
      with the row and the column
  2   it could not be done (no network, no pins, an aggregator that does not stand still)
  3   the ledger or the snapshot is invalid: forged, forked, cut off, with files
      that were not signed, with a wrong map root, or without an attachment that it names and did not erase; or
      fewer of the pinned witnesses cosigned it than are asked for
  4   undecided: the ledger has entries that only a newer version of this program can
      read
  64  called wrongly

EXAMPLES
  repronet-verify replay --aggregator https://repro.example.org
  repronet-verify replay --json | jq .reproduced
  repronet-verify replay --snapshot data`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var c replayer
			c.declare(flags)
			flags.StringVar(&c.aggregator, "aggregator", "", "`url` or multiaddr of the aggregator to compare with")
			flags.StringVar(&c.snapshot, "snapshot", "", "`directory` of a published snapshot to prove")
			flags.StringVar(&c.tmp, "tmp", "", "`directory` for temporary files, 110 bytes for each claim (default the system's)")
			flags.BoolVar(&c.allMaps, "all-maps", false, "check all map roots, not the newest alone; each takes a pass over all claims")
			flags.BoolVar(&c.json, "json", false, "print a JSON document")
			return withStatus(c.run)
		},
	}
}

type replayer struct {
	settings
	aggregator, tmp, snapshot string
	allMaps, json             bool
}

// replayResult is what replay prints; its JSON form is for other programs.
type replayResult struct {
	Origin       string             `json:"origin"`
	Entries      uint64             `json:"entries"`
	Root         string             `json:"root"` // of the verified ledger, which may have more entries
	Outputs      uint64             `json:"outputs"`
	Reproduced   uint64             `json:"reproduced"`
	Diverged     uint64             `json:"diverged"`
	Single       uint64             `json:"single"`
	Unbuilt      uint64             `json:"unbuilt"`
	Attestations uint64             `json:"attestations"`
	Observations uint64             `json:"observations"`
	Maps         int                `json:"maps"`   // map roots that were checked
	Erased       int                `json:"erased"` // attachments that the ledger took away
	Compared     bool               `json:"compared"`
	Difference   *replay.Difference `json:"difference,omitempty"`
	Seconds      float64            `json:"seconds"`
}

func (c *replayer) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	if len(args) > 0 {
		return cli.Usagef("unexpected argument %q", args[0])
	}
	if c.snapshot != "" {
		return c.prove(ctx, env)
	}
	pins, mirror, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	progress, done := progressLine(env.Stderr)
	defer done()
	var published *replay.Published
	from := pins.Logs() // of attachments that are not in the mirror
	if c.aggregator != "" {
		aggregator, err := verify.Dial(c.aggregator)
		if err != nil {
			return cli.Usagef("%w", err)
		}
		from = []ledger.Fetcher{aggregator.Log()}
		if published, err = replay.Fetch(ctx, c.aggregator, c.tmp); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, published.Close()) }()
		if err := reach(ctx, mirror, aggregator.Log(), published.Size, progress); err != nil {
			return err
		}
	} else if err := errors.Join(mirror.CheckCosigned(), mirror.Index(ctx, progress)); err != nil {
		return err
	}
	checkpoint := mirror.Checkpoint()
	if checkpoint == nil {
		return errors.New("nothing of the ledger is here yet: name an --aggregator, or run repronet-verify mirror")
	}
	result, err := c.replay(ctx, mirror, from, published, progress)
	done()
	if err != nil {
		return err
	}
	result.Origin, result.Root = checkpoint.Origin, checkpoint.Root.String()
	if err := c.print(env, result); err != nil {
		return err
	}
	if result.Difference != nil {
		return cli.Exit(exitDiverged)
	}
	return nil
}

// patience is how long the ledger may take to publish what the index covers.
const patience = time.Minute

// reach extends the mirror until it has so many entries.
func reach(ctx context.Context, mirror *verify.Mirror, fetch ledger.Fetcher, size uint64, progress verify.Progress) error {
	for deadline := time.Now().Add(patience); ; {
		if err := mirror.Update(ctx, fetch, progress); err != nil {
			return err
		}
		if c := mirror.Checkpoint(); c.Size >= size {
			return nil
		} else if time.Now().After(deadline) {
			return fmt.Errorf("%w: the aggregator shows what follows from %d entries, and signs no more than %d", ledger.ErrInvalid, size, c.Size)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *replayer) replay(ctx context.Context, mirror *verify.Mirror, from []ledger.Fetcher, published *replay.Published, progress verify.Progress) (result *replayResult, err error) {
	begin := time.Now()
	l := replay.Ledger{Tree: mirror.Tree(), Size: mirror.Tree().Size(), Origin: mirror.Tree().Origin()}
	if published != nil {
		l.Size = published.Size
	}
	if l.Roster, err = mirror.RosterEntries(); err != nil {
		return nil, err
	}
	config := replay.Config{Dir: c.tmp, Progress: progress}
	if config.Dir == "" {
		config.Dir = os.TempDir()
	}
	if l.Erased, err = mirror.Erasures(); err != nil {
		return nil, err
	}
	config.Attachment = mirror.Attachments(from...)
	r, err := replay.Read(ctx, config, l)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	result = &replayResult{
		Entries: r.Size, Attestations: r.Totals.Attestations, Observations: r.Totals.Observations, Erased: r.Erased, Compared: published != nil,
	}
	if result.Maps, err = r.CheckMaps(c.allMaps); err != nil {
		return nil, err
	}
	if published == nil {
		err = r.Judge(ctx, func(o *replay.Output) error { result.count(o); return nil })
	} else {
		err = r.Compare(ctx, published, func(o *replay.Output) { result.count(o) })
	}
	if difference, ok := errors.AsType[*replay.Difference](err); ok {
		result.Difference, err = difference, nil
	}
	result.Seconds = time.Since(begin).Seconds()
	return result, err
}

func (r *replayResult) count(o *replay.Output) {
	r.Outputs++
	switch o.Judgement.Verdict {
	case divergence.Reproduced:
		r.Reproduced++
	case divergence.Diverged:
		r.Diverged++
	case divergence.Single:
		r.Single++
	case divergence.Unbuilt:
		r.Unbuilt++
	}
}

func (c *replayer) print(env *cli.Env, r *replayResult) error {
	if c.json {
		return cli.JSONLine(env.Stdout, r)
	}
	if r.Difference != nil {
		_, err := fmt.Fprintf(env.Stdout, "different: %v\n", r.Difference)
		return err
	}
	if r.Compared {
		fmt.Fprintf(env.Stdout, "identical: all that is published follows from the ledger's first %d entries\n", r.Entries)
	}
	if r.Erased > 0 {
		fmt.Fprintf(env.Stdout, "%d attachments were erased, and count as never having been there\n", r.Erased)
	}
	_, err := fmt.Fprintf(env.Stdout, "%d entries, %d claims on %d outputs: %d reproduced, %d diverged, %d single, %d unbuilt; %d map roots checked; %.1f s\n",
		r.Entries, r.Observations, r.Outputs, r.Reproduced, r.Diverged, r.Single, r.Unbuilt, r.Maps, r.Seconds)
	return err
}
