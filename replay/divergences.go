package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
)

// publishedDivergence is an element of the list of divergences; its String is what is
// compared of it.
type publishedDivergence struct{ api.Divergence }

func (d *publishedDivergence) id() attestation.OutputID {
	return attestation.NewOutputID(d.Ecosystem, d.Key)
}

func (d *publishedDivergence) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) by %d operators with %d digests since ledger index %d, before that %s", d.Verdict, d.Shape, d.Operators, d.Digests, d.Index, d.Previous)
	for _, f := range d.Factions {
		fmt.Fprintf(&b, "; %s by %s", f.Digest, strings.Join(f.Operators, ", "))
	}
	return b.String()
}

// divergences is the list of divergences that an aggregator publishes, on disk: by
// the first byte of the outputs' IDs, and when they began to diverge.
type divergences struct {
	total    uint64 // that the list says it has
	listed   uint64
	disorder string // an output that comes behind an older one
	lines    *Spill
	// since has the ledger index and the milliseconds since 1970 of each entry that
	// made some diverge, newest first.
	since *os.File
}

func (d *divergences) close() error {
	if d == nil {
		return nil
	}
	return errors.Join(d.lines.Close(), closeAll(d.since))
}

// divergences downloads the list, page by page.
func (f *fetcher) divergences(ctx context.Context) (d *divergences, err error) {
	d = &divergences{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
			d = nil
		}
	}()
	if d.lines, err = NewSpill(f.dir); err != nil {
		return d, err
	}
	if d.since, err = vanishing(f.dir); err != nil {
		return d, err
	}
	since := bufio.NewWriter(d.since)
	for cursor, last := "", uint64(math.MaxUint64); ; {
		page, err := f.api.Divergences(ctx, api.DivergenceQuery{Limit: 1000, Cursor: cursor})
		if err != nil {
			return d, err
		}
		d.total = page.Total
		for i := range page.Divergences {
			one := &publishedDivergence{page.Divergences[i]}
			line, err := json.Marshal(one)
			if err != nil {
				return d, err
			}
			id := one.id()
			if err := d.lines.Write(int(id[0]), append(line, '\n')); err != nil {
				return d, err
			}
			if one.Index > last {
				d.disorder = one.Key
			}
			if one.Index != last {
				pair := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, one.Index), uint64(one.Since.UnixMilli()))
				if _, err := since.Write(pair); err != nil {
					return d, err
				}
			}
			last = one.Index
			d.listed++
		}
		if cursor = page.Next; cursor == "" || len(page.Divergences) == 0 || d.listed > d.total {
			return d, since.Flush()
		}
	}
}

// in returns those in a partition.
func (d *divergences) in(partition int) (map[attestation.OutputID]*publishedDivergence, error) {
	text, err := d.lines.Bytes(partition)
	if err != nil {
		return nil, err
	}
	found := map[attestation.OutputID]*publishedDivergence{}
	for line := range bytes.Lines(text) {
		one := &publishedDivergence{}
		if err := json.Unmarshal(line, one); err != nil {
			return nil, err
		}
		if _, twice := found[one.id()]; twice {
			return nil, differ(one.Key, "divergence", "listed once", "listed twice")
		}
		found[one.id()] = one
	}
	return found, nil
}

// compareList compares what the list says beside its elements: how many there are,
// in which order, and when those entries were received that made them diverge.
func (r *Replay) compareList(ctx context.Context, d *divergences) error {
	const of = "the list of divergences"
	if d.listed != d.total {
		return differ(of, "total", d.listed, d.total)
	}
	if d.disorder != "" {
		return differ(d.disorder, "place in "+of, "newest first", "behind an older one")
	}
	if _, err := d.since.Seek(0, io.SeekStart); err != nil {
		return err
	}
	from := bufio.NewReader(d.since)
	bundle := map[uint64]time.Time{} // when entries of the bundle at hand were received
	for at := uint64(math.MaxUint64); ; {
		var pair [16]byte
		if _, err := io.ReadFull(from, pair[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		index, theirs := binary.BigEndian.Uint64(pair[:]), time.UnixMilli(int64(binary.BigEndian.Uint64(pair[8:]))).UTC()
		if index >= r.Size {
			return differ(of, "since", fmt.Sprintf("%d entries", r.Size), fmt.Sprintf("ledger index %d", index))
		}
		if first := index / ledger.BundleWidth * ledger.BundleWidth; first != at {
			at = first
			clear(bundle)
			for record, err := range r.ledger.Tree.Records(ctx, first, min(first+ledger.BundleWidth, r.Size)) {
				if err != nil {
					return err
				}
				entry, err := record.Entry()
				if err != nil {
					return err
				}
				bundle[record.Index] = entry.ReceivedAt
			}
		}
		if ours := bundle[index]; !ours.Equal(theirs) {
			return differ(of, fmt.Sprintf("since of ledger index %d", index), ours.UTC().Format(time.RFC3339Nano), theirs.Format(time.RFC3339Nano))
		}
	}
}

// A divergencesComparer compares the elements with outputs, which come in the order
// of their IDs.
type divergencesComparer struct {
	replay    *Replay
	published *divergences
	next      int // partition that was not opened yet
	open      map[attestation.OutputID]*publishedDivergence
}

// upTo opens the partition and compares what is left of those before.
func (c *divergencesComparer) upTo(partition int) (err error) {
	for c.next <= partition {
		for _, left := range c.open {
			return differ(left.Key, "divergence", nothing, left)
		}
		if c.next < Partitions {
			if c.open, err = c.published.in(c.next); err != nil {
				return err
			}
		}
		c.next++
	}
	return nil
}

// output compares an output that is called so.
func (c *divergencesComparer) output(o *Output, name string) error {
	if err := c.upTo(int(o.ID[0])); err != nil {
		return err
	}
	theirs, listed := c.open[o.ID]
	delete(c.open, o.ID)
	if o.Judgement.Verdict != divergence.Diverged {
		if listed {
			return differ(name, "divergence", nothing, theirs)
		}
		return nil
	}
	ours := c.replay.divergence(o)
	switch {
	case !listed:
		return differ(name, "divergence", ours, nothing)
	case ours.String() != theirs.String():
		return differ(name, "divergence", ours, theirs)
	}
	return nil
}

// divergence returns what has to be published of an output that diverges.
func (r *Replay) divergence(o *Output) *publishedDivergence {
	last := o.Changes[len(o.Changes)-1]
	d := &publishedDivergence{api.Divergence{
		OutputRow: api.OutputRow{
			Verdict: api.NewVerdict(o.Judgement.Verdict), Shape: api.NewShape(o.Judgement.Shape),
			Operators: o.Judgement.Operators, Digests: o.Judgement.Digests,
		},
		Index: last.Index, Previous: api.NewVerdict(last.From),
	}}
	factions := divergence.Factions(func(yield func(attestation.Digest, string) bool) {
		for c := range o.Claims.Standing(r.roster) { // by digest
			if b, _ := r.roster.ByNumber(c.Builder); !yield(c.Digest, b.Operator) {
				return
			}
		}
	})
	for _, f := range factions {
		d.Factions = append(d.Factions, api.Faction{Digest: f.Digest.String(), Operators: f.Holders})
	}
	return d
}
