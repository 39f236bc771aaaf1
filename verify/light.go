package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// ErrMapTooOld is what [Light.Evidence] wraps if the newest map that the
// aggregator shows is older than the user accepts.
var ErrMapTooOld = errors.New("the newest map is too old")

// A Light asks an aggregator for single outputs, without a copy of its ledger: with
// a proof by the verifiable map (package outputmap) that the entries named are all
// there are about the output. All that an answer contains is checked against the
// checkpoint that the log signed, which must continue the one seen the last time.
//
// What it believes more than a [Mirror] does is that somebody who has a copy audits
// the map's root: a wrong one convicts the log's holder, for as long as the ledger
// exists (repronet-verify replay).
type Light struct {
	Aggregator *Aggregator
	Pins       *Pins
	// State is a directory that remembers the newest checkpoint.
	State string
	// MaxAge is how long ago the ledger may have taken the map's root. 0: any time.
	MaxAge time.Duration
	// Tell has outputs asked for by their names. That is less to fetch, and the aggregator
	// learns which outputs somebody at this address is interested in.
	Tell bool
	// Bits is how many of an output's ID are told where its name is not: 12, 16 or 20, which
	// is 0 as well. With fewer there are more outputs among which it is hidden, and as many
	// to fetch.
	Bits int
}

// Evidence collects every claim about an output. Unless [Light.Tell] is set, each request
// that this makes and its answer depend on the output's bucket alone, not on which output of
// it is meant, nor on what was said of that: the entries about all outputs of the bucket are
// fetched and opened.
func (l *Light) Evidence(ctx context.Context, ecosystem, output string) (*Evidence, error) {
	if err := attestation.ValidateOutput(ecosystem, output); err != nil {
		return nil, err
	}
	find := l.findBucket
	if l.Tell {
		find = l.find
	}
	found, tree, err := find(ctx, Output{ecosystem, output})
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", output, err)
	}
	return collectAmong(ctx, tree, found, l.Pins, Output{ecosystem, output}, slices.Collect(maps.Keys(found.entries)))
}

// found are the entries about outputs.
type found struct {
	entries map[attestation.OutputID][]uint64
	changes []uint64
}

func (f *found) roster() ([]uint64, error) { return f.changes, nil }

func (f *found) lookup(ids []attestation.OutputID) ([][]uint64, error) {
	list := make([][]uint64, len(ids))
	for i, id := range ids {
		list[i] = f.entries[id]
	}
	return list, nil
}

// errNoReceipt says that an answer about the map names no entry with its root.
var errNoReceipt = errors.New("reading the map's proof: it has no receipt")

// find asks for one output by its name.
func (l *Light) find(ctx context.Context, output Output) (*found, *ledger.Tree, error) {
	key, err := l.Pins.Verifier()
	if err != nil {
		return nil, nil, err
	}
	reader, latest, answer, err := l.proof(ctx, key, output.Ecosystem, output.Key)
	if err != nil {
		return nil, nil, err
	}
	tree := reader.Tree(latest)
	root, err := l.root(ctx, tree, latest, answer.Receipt)
	if err != nil {
		return nil, nil, err
	}
	if err := l.remember(ctx, reader, latest); err != nil {
		return nil, nil, err
	}
	id := attestation.NewOutputID(output.Ecosystem, output.Key)
	f := &found{}
	entries, err := listed(root, answer.Output, id)
	if err != nil {
		return nil, nil, err
	}
	f.entries = map[attestation.OutputID][]uint64{id: entries}
	if f.changes, err = listed(root, answer.Roster, outputmap.RosterKey()); err != nil {
		return nil, nil, err
	}
	return f, tree, f.tail(ctx, tree, root.Size, func(about attestation.OutputID) bool { return about == id })
}

// root returns the map's root, which an entry of the tree commits to.
func (l *Light) root(ctx context.Context, tree *ledger.Tree, latest *ledger.Checkpoint, receipt *ledger.Receipt) (outputmap.Root, error) {
	key, err := l.Pins.Verifier()
	if err != nil {
		return outputmap.Root{}, err
	}
	entry, err := receipt.Verify(key)
	if err != nil {
		return outputmap.Root{}, err
	}
	signed, err := ledger.OpenCheckpoint([]byte(receipt.Checkpoint), key)
	if err != nil {
		return outputmap.Root{}, err
	}
	if signed.Size > latest.Size {
		return outputmap.Root{}, fmt.Errorf("%w: the map is of a tree of %d entries, and the log shows %d", ErrStale, signed.Size, latest.Size)
	}
	if err := tree.CheckContinues(ctx, signed); err != nil {
		return outputmap.Root{}, err
	}
	if entry.Kind != ledger.MapRoot {
		return outputmap.Root{}, fmt.Errorf("%w: the receipt is of an entry of kind %s", outputmap.ErrInvalid, entry.Kind)
	}
	if err := CheckAhead(entry.ReceivedAt); err != nil && l.MaxAge > 0 {
		return outputmap.Root{}, err
	}
	if age := time.Since(entry.ReceivedAt); l.MaxAge > 0 && age > l.MaxAge {
		return outputmap.Root{}, fmt.Errorf("%w: it is of %s, %v ago", ErrMapTooOld, entry.ReceivedAt.UTC().Format(time.RFC3339), age.Round(time.Second))
	}
	return reading.ParseMapRoot(receipt.Index, entry.Body)
}

// listed returns the entries that a proof shows to be all under a key.
func listed(root outputmap.Root, text []byte, key attestation.OutputID) ([]uint64, error) {
	proof, err := outputmap.ParseProof(text)
	if err != nil {
		return nil, err
	}
	return proof.Verify(root, key)
}

// tail adds the entries that the map does not cover yet: those about the outputs that are
// wanted, and about the roster.
func (f *found) tail(ctx context.Context, tree *ledger.Tree, from uint64, wanted func(attestation.OutputID) bool) error {
	for record, err := range tree.Records(ctx, from, tree.Size()) {
		if err != nil {
			return err
		}
		entry, err := reading.Decode(record)
		if errors.Is(err, reading.ErrNewerRules) {
			return err
		}
		if err != nil {
			continue // about nothing, for any reader
		}
		keys, err := outputmap.Keys(record.Index, entry)
		if err != nil {
			return err
		}
		for _, about := range keys {
			switch {
			case about == outputmap.RosterKey():
				f.changes = append(f.changes, record.Index)
			case wanted(about):
				f.entries[about] = append(f.entries[about], record.Index)
			}
		}
	}
	return nil
}

// seen returns the newest state that was seen, by a [Light] or a [Mirror] of the same
// directory; nil if none was.
func (l *Light) seen(key note.Verifier) (newest *ledger.Checkpoint, err error) {
	for _, path := range []string{l.remembered(), filepath.Join(l.State, "log", "checkpoint")} {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err := ledger.OpenCheckpoint(text, key)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if newest == nil || c.Size > newest.Size {
			newest = c
		}
	}
	return newest, nil
}

func (l *Light) remembered() string { return filepath.Join(l.State, "light-checkpoint") }

// remember checks that the log continues what was seen the last time, and keeps
// the newer state.
func (l *Light) remember(ctx context.Context, reader *ledger.Reader, latest *ledger.Checkpoint) error {
	key, err := l.Pins.Verifier()
	if err != nil {
		return err
	}
	seen, err := l.seen(key)
	if err != nil {
		return err
	}
	if seen != nil {
		if latest.Size < seen.Size {
			return fmt.Errorf("%w: the log is shown with %d entries, %d were seen", ErrStale, latest.Size, seen.Size)
		}
		if err := reader.Tree(latest).CheckContinues(ctx, seen); err != nil {
			return err
		}
	}
	if err := durable.MkdirAll(l.State, 0o755); err != nil {
		return err
	}
	return durable.WriteFile(l.remembered(), latest.Text, 0o644)
}
