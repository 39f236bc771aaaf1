package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
}

// Evidence collects every claim about an output.
func (l *Light) Evidence(ctx context.Context, ecosystem, output string) (*Evidence, error) {
	if err := attestation.ValidateOutput(ecosystem, output); err != nil {
		return nil, err
	}
	found, tree, err := l.find(ctx, ecosystem, output)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", output, err)
	}
	evidence, err := collect(ctx, tree, found, l.Pins, []Output{{ecosystem, output}}, func(string, uint64, uint64) {})
	if err != nil {
		return nil, err
	}
	return evidence[0], nil
}

// found are the entries about one output.
type found struct{ entries, changes []uint64 }

func (f *found) roster() ([]uint64, error) { return f.changes, nil }

func (f *found) lookup([]attestation.OutputID) ([][]uint64, error) { return [][]uint64{f.entries}, nil }

func (l *Light) find(ctx context.Context, ecosystem, output string) (*found, *ledger.Tree, error) {
	key, err := l.Pins.Verifier()
	if err != nil {
		return nil, nil, err
	}
	reader, latest, answer, err := l.proof(ctx, key, ecosystem, output)
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
	id := attestation.NewOutputID(ecosystem, output)
	f := &found{}
	if f.entries, err = listed(root, answer.Output, id); err != nil {
		return nil, nil, err
	}
	if f.changes, err = listed(root, answer.Roster, outputmap.RosterKey()); err != nil {
		return nil, nil, err
	}
	return f, tree, f.tail(ctx, tree, root.Size, id)
}

func errNoReceipt(r *ledger.Receipt) error {
	if r == nil {
		return errors.New("it has no receipt")
	}
	return nil
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

// tail adds the entries that the map does not cover yet.
func (f *found) tail(ctx context.Context, tree *ledger.Tree, from uint64, id attestation.OutputID) error {
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
		if slices.Contains(keys, id) {
			f.entries = append(f.entries, record.Index)
		}
		if slices.Contains(keys, outputmap.RosterKey()) {
			f.changes = append(f.changes, record.Index)
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
