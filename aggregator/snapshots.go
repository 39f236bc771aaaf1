package aggregator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/reading"
	"repronet.dev/replay"
	"repronet.dev/snapshot"
)

// SnapshotsDir is where in the data directory the snapshots are, each in a directory that
// is named by the size of the ledger that it follows from.
const SnapshotsDir = "snapshots"

// spareDisk is how many bytes a snapshot leaves free, or a tenth of a small disk: the
// ledger is on the same one.
const spareDisk = 1 << 30

// snapshots makes and keeps copies of all data as files. It reads the ledger's files
// alone, in one goroutine beside those that write and index, and holds no lock of theirs.
type snapshots struct {
	dir         string
	keep        int // 0: all
	key         *writer.Key
	ledger      string // directory
	checkpoint  func() *ledger.Checkpoint
	attachments reading.Attachments
	room        func(dir string) (free, total uint64, err error) // of the disk, in bytes

	making sync.Mutex // held while one is made
}

// openSnapshots removes what a process that was killed has left half-made.
func openSnapshots(dir string, keep int, key *writer.Key, ledgerDir string, checkpoint func() *ledger.Checkpoint, attachments reading.Attachments) (*snapshots, error) {
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), snapshot.TemporaryPrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return &snapshots{dir: dir, keep: keep, key: key, ledger: ledgerDir, checkpoint: checkpoint, attachments: attachments, room: room}, nil
}

// sizes are the ledger sizes of the snapshots, the newest first.
func (s *snapshots) sizes() ([]uint64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var sizes []uint64
	for _, e := range entries {
		if size, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && e.IsDir() {
			sizes = append(sizes, size)
		}
	}
	slices.SortFunc(sizes, func(a, b uint64) int { return cmp.Compare(b, a) })
	return sizes, nil
}

func (s *snapshots) path(size uint64) string {
	return filepath.Join(s.dir, strconv.FormatUint(size, 10))
}

// list describes the snapshots, the newest first.
func (s *snapshots) list() ([]api.Snapshot, error) {
	sizes, err := s.sizes()
	if err != nil {
		return nil, err
	}
	var list []api.Snapshot
	for _, size := range sizes {
		described, err := s.describe(size)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, described)
	}
	return list, nil
}

func (s *snapshots) describe(size uint64) (described api.Snapshot, err error) {
	d, err := snapshot.Describe(s.path(size))
	if err != nil {
		return described, err
	}
	described = api.Snapshot{Size: size, Root: d.Root.String(), Rules: uint32(d.Rules), ReceivedAt: d.ReceivedAt, Path: api.SnapshotPath(size)}
	err = filepath.WalkDir(s.path(size), func(_ string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		info, err := f.Info()
		if err == nil {
			described.Bytes += uint64(info.Size())
		}
		return err
	})
	return described, err
}

// nightly makes a snapshot, if the ledger has anything to make one of.
func (s *snapshots) nightly(ctx context.Context) error {
	if c := s.checkpoint(); c == nil || c.Size == 0 {
		return nil
	}
	_, err := s.make(ctx, io.Discard)
	return err
}

// make makes a snapshot of the published ledger, unless there is one, and removes the
// oldest ones.
func (s *snapshots) make(ctx context.Context, progress io.Writer) (api.Snapshot, error) {
	if !s.making.TryLock() {
		return api.Snapshot{}, admin.Errorf(admin.Conflict, "a snapshot is being made: wait for its end, and ask again if the ledger has grown since")
	}
	defer s.making.Unlock()
	c := s.checkpoint()
	if c == nil || c.Size == 0 {
		return api.Snapshot{}, admin.Errorf(admin.NotFound, "the ledger has published nothing yet: there are no data to make a snapshot of")
	}
	sizes, err := s.sizes()
	if err != nil {
		return api.Snapshot{}, err
	}
	if !slices.Contains(sizes, c.Size) {
		fmt.Fprintf(progress, "making a snapshot of %d ledger entries\n", c.Size)
		if err := s.makeOf(ctx, c, sizes); err != nil {
			return api.Snapshot{}, err
		}
	}
	if err := s.removeOld(); err != nil {
		return api.Snapshot{}, fmt.Errorf("removing an old snapshot: %w", err)
	}
	return s.describe(c.Size)
}

// removeOld removes all but the newest.
func (s *snapshots) removeOld() error {
	sizes, err := s.sizes()
	if err != nil || s.keep == 0 || len(sizes) <= s.keep {
		return err
	}
	for _, size := range sizes[s.keep:] {
		// Half of one must not be seen.
		gone := filepath.Join(s.dir, snapshot.TemporaryPrefix+"removed")
		for _, step := range []func() error{
			func() error { return os.RemoveAll(gone) }, // of a time when that failed
			func() error { return durable.Rename(s.path(size), gone) },
			func() error { return os.RemoveAll(gone) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeOf makes the snapshot of a published state of the ledger.
func (s *snapshots) makeOf(ctx context.Context, c *ledger.Checkpoint, earlier []uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tree := ledger.NewReader(ledger.Dir(s.ledger), s.key.Verifier()).Tree(c)
	l, err := replay.Find(ctx, tree, c.Origin, c.Size)
	if err != nil {
		return fmt.Errorf("making a snapshot: %w", err)
	}
	config := snapshot.Config{
		Dir: s.path(c.Size), Ledger: l, Root: c.Root, Key: s.key, Checkpoint: c.Text,
		Replay: replay.Config{
			Attachment: s.attachments, Workers: 1, // what comes in has the other processors
			Progress: func(string, uint64, uint64) {
				if err := s.hasRoom(); err != nil {
					cancel(err)
				}
			},
		},
	}
	if i := slices.IndexFunc(earlier, func(size uint64) bool { return size < c.Size }); i >= 0 {
		config.Previous = s.path(earlier[i])
	}
	if err := s.hasRoom(); err != nil {
		return err
	}
	_, err = snapshot.Make(ctx, config)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// hasRoom refuses to take the last of the disk from the ledger.
func (s *snapshots) hasRoom() error {
	free, total, err := s.room(s.dir)
	if err != nil {
		return fmt.Errorf("looking for room for a snapshot: %w", err)
	}
	if spare := min(spareDisk, total/10); free < spare {
		return fmt.Errorf("the disk of %s has %d MiB left, and %d MiB are the ledger's: make room, or keep fewer snapshots (setting snapshots.keep)", s.dir, free>>20, spare>>20)
	}
	return nil
}

func room(dir string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	err = syscall.Statfs(dir, &s)
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), err //nolint:unconvert // the types differ between systems
}

func (a administration) makeSnapshot(ctx context.Context, _ admin.None, streams admin.Streams) (api.Snapshot, error) {
	return a.snapshots.make(ctx, streams.Progress)
}
