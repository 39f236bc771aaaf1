package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/durable"
	"repronet.dev/replay"
)

// Config says of what to make a snapshot, and where.
type Config struct {
	// Dir is the snapshot's directory, which must not be there. The one above it must,
	// and temporary files go there, too.
	Dir string
	// Ledger is what it is made from, up to its size, and Root the hash of that tree.
	Ledger replay.Ledger
	Root   tlog.Hash
	// Replay says how the ledger is read; its Dir and Observe are not used.
	Replay replay.Config
	// Previous is the directory of an earlier snapshot of the same ledger, made on this
	// machine. The files of months that were over then are linked, not written again.
	// "": there is none.
	Previous string
	// Key is the ledger's own, and signs; nil: the snapshot is not signed.
	Key note.Signer
	// Checkpoint is the ledger's signed state of that size and root; nil: none is added.
	Checkpoint []byte
}

// TemporaryPrefix begins the names of directories of snapshots that are being made.
const TemporaryPrefix = ".making-"

// Make makes a snapshot. It is in its directory as a whole or not at all, and every byte
// but the signatures follows from the ledger.
func Make(ctx context.Context, config Config) (d *Description, err error) {
	if config.Ledger.Size == 0 {
		return nil, errors.New("making a snapshot: the ledger has no entries yet")
	}
	parent := filepath.Dir(config.Dir)
	temporary, err := os.MkdirTemp(parent, TemporaryPrefix)
	if err != nil {
		return nil, fmt.Errorf("making a snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	d, err = config.make(ctx, parent, temporary)
	if err != nil {
		return nil, fmt.Errorf("making a snapshot: %w", err)
	}
	if _, err := os.Lstat(config.Dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("making a snapshot: %s is there already", config.Dir)
	}
	return d, durable.Rename(temporary, config.Dir)
}

// make makes the snapshot in a directory, with temporary files in another.
func (c *Config) make(ctx context.Context, temporary, dir string) (_ *Description, err error) {
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // to be published
		return nil, err
	}
	kept, err := c.keep(dir)
	if err != nil {
		return nil, err
	}
	g, err := newGatherer(temporary, kept.from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.spill.Close()) }()
	reading := c.Replay
	reading.Dir, reading.Observe = temporary, g.observe
	r, err := replay.Read(ctx, reading, c.Ledger)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := c.write(ctx, dir, r, g); err != nil {
		return nil, err
	}
	d := &Description{
		Format: Format, Origin: c.Ledger.Origin, Size: c.Ledger.Size, Root: c.Root, Rules: r.Rules(),
		Erasures: c.erasures(), ReceivedAt: g.times[len(g.times)-1].Time(),
	}
	return d, c.complete(dir, d, kept)
}

// erasures is how many entries erased something.
func (c *Config) erasures() (n int) {
	for _, index := range c.Ledger.Erased {
		if index < c.Ledger.Size {
			n++
		}
	}
	return n
}

// write writes the files of the views.
func (c *Config) write(ctx context.Context, dir string, r *replay.Replay, g *gatherer) error {
	f := &folder{gatherer: g, builders: r.Builders(), tables: newTables(dir, g.from)}
	for _, b := range f.builders {
		f.ids = append(f.ids, string(b.ID))
	}
	defer func() {
		for _, t := range f.tables.all() {
			t.abandon()
		}
	}()
	if err := r.Judge(ctx, f.judged); err != nil {
		return err
	}
	steps := []func() error{f.rest, f.people, f.published}
	for _, t := range f.tables.all() {
		steps = append(steps, t.close)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// complete adds what describes the files, and the signatures.
func (c *Config) complete(dir string, d *Description, kept *kept) error {
	list, err := listFiles(dir, kept.sums)
	if err != nil {
		return err
	}
	for _, document := range []struct {
		name string
		text func(*Description, files) ([]byte, error)
	}{
		{PackageFile, dataPackage}, {CroissantFile, croissant}, {CitationFile, citation}, {LicenceFile, licence},
	} {
		text, err := document.text(d, list)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(filepath.Join(dir, document.name), text, 0o644); err != nil {
			return err
		}
	}
	sums, err := sum(dir, list.sums())
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, SumsFile), sums, 0o644); err != nil {
		return err
	}
	if c.Key != nil {
		signed, err := note.Sign(&note.Note{Text: statement(d, sums)}, c.Key)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(filepath.Join(dir, SignatureFile), signed, 0o644); err != nil {
			return err
		}
	}
	if c.Checkpoint != nil {
		if err := durable.WriteFile(filepath.Join(dir, CheckpointFile), c.Checkpoint, 0o644); err != nil {
			return err
		}
	}
	return syncDirs(dir)
}

// syncDirs makes the names of all files durable.
func syncDirs(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return durable.SyncDir(path)
	})
}
