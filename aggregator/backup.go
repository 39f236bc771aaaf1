package aggregator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"repronet.dev/aggregator/state"
	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/ledger/replica"
	"repronet.dev/ledger/writer"
	"repronet.dev/reading"
)

// A backup is a directory with a checked copy of the ledger (package replica) and copies of
// what else cannot be made again. It is whole at any moment: the copy's checkpoint comes last,
// when everything is there that its entries name.

// A Backup says what a backup has.
type Backup struct {
	Dir     string    `json:"dir"`
	Origin  string    `json:"origin"`
	Entries uint64    `json:"entries"`
	New     uint64    `json:"new"` // entries that came with this run
	Root    string    `json:"root"`
	Newest  time.Time `json:"newest"` // when the last entry was received
}

// secrets are the files of a data directory that are copied as they are; those that are not
// there yet are not needed.
var secrets = []string{KeyFile, "pseudonyms.key", "libp2p.key"} //nolint:gochecknoglobals // a constant list

// stateFile is what is no evidence.
const stateFile = "state.db"

// TakeBackup brings a backup in a directory, which is made if it is not there, up to the
// newest state that the data directory's ledger has published. It changes nothing in the data
// directory, and may run beside its server. What was erased is removed from the backup, too.
func TakeBackup(ctx context.Context, data, dir string, progress func(done, total uint64)) (b *Backup, err error) {
	key, err := writer.LoadKey(keyPath(data))
	if err != nil {
		return nil, err
	}
	if err := apart(data, dir); err != nil {
		return nil, err
	}
	source := ledger.Dir(filepath.Join(data, LedgerDir))
	published, err := ledger.NewReader(source, key.Verifier()).Checkpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the ledger in %s has published nothing yet", data)
	}
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r, err := replica.Open(ctx, dir, key.Verifier(), nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// First what the entries before the checkpoint name, then these.
	if err := copyAttachments(ctx, filepath.Join(data, LedgerDir), r.Attachments); err != nil {
		return nil, err
	}
	if err := copySecrets(ctx, data, dir); err != nil {
		return nil, err
	}
	latest, from, err := r.Fetch(ctx, func(ctx context.Context, path string) (io.ReadCloser, error) {
		if path == "checkpoint" {
			return io.NopCloser(bytes.NewReader(published.Text)), nil
		}
		return source(ctx, path)
	}, progress)
	if err != nil {
		return nil, fmt.Errorf("copying the ledger to %s: %w", dir, err)
	}
	r.Advance(latest)
	if err := eraseFrom(ctx, r, filepath.Join(data, LedgerDir)); err != nil {
		return nil, err
	}
	if err := r.Tidy(from); err != nil {
		return nil, err
	}
	b, err = describe(ctx, dir, r.Local(latest.Size), latest)
	if err == nil {
		b.New = latest.Size - from
	}
	return b, err
}

func describe(ctx context.Context, dir string, tree *ledger.Tree, c *ledger.Checkpoint) (*Backup, error) {
	b := &Backup{Dir: dir, Origin: c.Origin, Entries: c.Size, Root: attestation.Digest(c.Root).Hex()}
	if c.Size == 0 {
		return b, nil
	}
	record, err := tree.Record(ctx, c.Size-1)
	if err != nil {
		return nil, err
	}
	entry, err := record.Entry()
	if err != nil {
		return nil, err
	}
	b.Newest = entry.ReceivedAt
	return b, nil
}

// apart refuses a backup in the directory that it is of.
func apart(data, dir string) error {
	from, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if to == from || strings.HasPrefix(to, from+string(filepath.Separator)) {
		return fmt.Errorf("%s is in the data directory: name another place, on another disk", dir)
	}
	return nil
}

// attachmentsDir is where in a log's directory its attachments are, each named by its SHA-256.
var attachmentsDir = filepath.Join("attachments", "sha256") //nolint:gochecknoglobals // a constant

// eraseFrom removes from a backup the attachments that the ledger erased: those that the
// original has no longer, and of which an entry says so. One that the original lost stays.
func eraseFrom(ctx context.Context, r *replica.Replica, original string) error {
	kept, err := os.ReadDir(filepath.Join(r.Dir(), attachmentsDir))
	if err != nil {
		return err
	}
	gone := map[attestation.Digest]struct{}{}
	for _, f := range kept {
		sum, err := attestation.ParseDigest(f.Name())
		if err != nil {
			continue // half-written
		}
		if _, err := os.Lstat(filepath.Join(original, attachmentsDir, f.Name())); errors.Is(err, fs.ErrNotExist) {
			gone[sum] = struct{}{}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	tree := r.Tree()
	sums, err := reading.Erasures(tree.Records(ctx, 0, tree.Size()))
	if err != nil {
		return err
	}
	for _, sum := range sums {
		if _, is := gone[sum]; !is {
			continue
		}
		if err := r.Attachments.Erase(ledger.AttachmentID(sum)); err != nil {
			return err
		}
	}
	return nil
}

// copyAttachments copies the attachments that are not there yet, each checked.
func copyAttachments(ctx context.Context, from string, to *ledger.Attachments) error {
	files, err := os.ReadDir(filepath.Join(from, attachmentsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		sum, err := attestation.ParseDigest(f.Name())
		if err != nil {
			continue // half-written
		}
		there, err := to.Open(ledger.AttachmentID(sum))
		if err == nil {
			if err := there.Close(); err != nil {
				return err
			}
			continue
		}
		data, err := ledger.FetchAttachment(ctx, ledger.Dir(from), ledger.AttachmentID(sum))
		if errors.Is(err, fs.ErrNotExist) {
			continue // erased meanwhile
		}
		if err == nil {
			_, err = to.Put(bytes.NewReader(data))
		}
		if err != nil {
			return fmt.Errorf("copying attachment %s: %w", f.Name(), err)
		}
	}
	return nil
}

// copySecrets copies the keys, and what is no evidence.
func copySecrets(ctx context.Context, from, to string) error {
	for _, name := range secrets {
		text, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = durable.WriteFile(filepath.Join(to, name), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copying %s: %w", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(from, stateFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return state.Copy(ctx, filepath.Join(from, stateFile), filepath.Join(to, stateFile))
}

// RestoreBackup makes a data directory, which must not be there or be empty, of a backup, and
// checks every byte of its ledger.
func RestoreBackup(ctx context.Context, dir, data string, progress writer.Progress) (*Backup, error) {
	key, err := writer.LoadKey(keyPath(dir))
	if err != nil {
		return nil, fmt.Errorf("%s is no backup: %w", dir, err)
	}
	if left, err := os.ReadDir(data); err == nil && len(left) > 0 {
		return nil, fmt.Errorf("%s is not empty: move what is there away first, since nothing is overwritten", data)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	checkpoint, err := ledger.NewReader(ledger.Dir(filepath.Join(dir, replica.LogDir)), key.Verifier()).Checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s is no backup: %w", dir, err)
	}
	partial := strings.TrimSuffix(data, string(filepath.Separator)) + ".restoring"
	if err := os.RemoveAll(partial); err != nil { // of a run that was broken off
		return nil, err
	}
	if err := durable.MkdirAll(partial, 0o750); err != nil {
		return nil, err
	}
	if err := copyTree(ctx, filepath.Join(dir, replica.LogDir), filepath.Join(partial, LedgerDir)); err != nil {
		return nil, fmt.Errorf("copying the ledger: %w", err)
	}
	if err := copySecrets(ctx, dir, partial); err != nil {
		return nil, err
	}
	report, err := writer.Check(ctx, filepath.Join(partial, LedgerDir), key, progress)
	if err != nil {
		return nil, err
	}
	if report.Worst() == writer.Copyable {
		return nil, fmt.Errorf("the backup is damaged: %d files are wrong, the first is %s (%s): restore another, or mend %s with 'ledger repair --from' another copy",
			len(report.Findings), report.Findings[0].Path, report.Findings[0].What, partial)
	}
	if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty directory
		return nil, err
	}
	if err := durable.Rename(partial, data); err != nil {
		return nil, err
	}
	local := ledger.NewReader(ledger.Dir(filepath.Join(data, LedgerDir)), key.Verifier()).Local(checkpoint.Size)
	b, err := describe(ctx, data, local, checkpoint)
	if err == nil {
		b.New = b.Entries
	}
	return b, err
}

// copyTree copies the files of a directory durably, but those that begin with a dot. It
// follows no link out of it.
func copyTree(ctx context.Context, from, to string) (err error) {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		target := filepath.Join(to, filepath.FromSlash(path))
		switch {
		case path != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return durable.MkdirAll(target, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := root.ReadFile(path)
		if err == nil {
			err = durable.WriteFile(target, data, 0o644)
		}
		return err
	})
}
