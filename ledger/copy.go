package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"repronet.dev/internal/durable"
)

// CopyTo makes a directory, which holds the log's first from entries already, a
// log of the tree's size: what is fetched is checked and then written, the
// checkpoint last, so that the directory is a whole log at any moment. A copy
// that was broken off goes on where it was.
//
// What only the tree of the first from entries needs stays, for those who read
// that one meanwhile; see [RemovePartials].
//
// progress is told how many entries of the tree are there; it is called by one
// goroutine at a time.
func (t *Tree) CopyTo(ctx context.Context, dir string, from uint64, progress func(entries uint64)) error {
	if t.checkpoint == nil {
		return errors.New("copying log: an unchecked tree cannot be copied")
	}
	var mu sync.Mutex // guards progress and done
	done := from
	group, groupCtx := errgroup.WithContext(ctx)
	// Fetching waits for the network more than for a processor.
	group.SetLimit(4 + runtime.GOMAXPROCS(0))
	for bundle := from / bundleWidth; bundle*bundleWidth < t.size && groupCtx.Err() == nil; bundle++ {
		group.Go(func() error {
			if err := t.copyBundle(groupCtx, dir, bundle); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			first := bundle * bundleWidth
			done += min(first+bundleWidth, t.size) - max(first, from)
			progress(done)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("copying log: %w", err)
	}
	for _, tile := range tlog.NewTiles(tileHeight, int64(from), int64(t.size)) {
		if tile.L == 0 {
			continue // copied with its bundle
		}
		data, err := tlog.ReadTileData(tile, t.hashes(ctx))
		if err == nil {
			err = writeTile(dir, tile, data)
		}
		if err != nil {
			return fmt.Errorf("copying log: %w", err)
		}
	}
	if err := durable.WriteFile(filepath.Join(dir, "checkpoint"), t.checkpoint.Text, 0o644); err != nil {
		return fmt.Errorf("copying log: %w", err)
	}
	return nil
}

// copyBundle copies a bundle and the tile of its leaf hashes, unless the
// directory has them from a copy that was broken off.
func (t *Tree) copyBundle(ctx context.Context, dir string, bundle uint64) error {
	first := bundle * bundleWidth
	tile := widen(tlog.Tile{H: tileHeight, L: -1, N: int64(bundle)}, int64(t.size))
	entries, err := leaves(ctx, Dir(dir), tile)
	if err == nil {
		err = t.checkLeaves(ctx, first, entries)
	}
	if err != nil {
		if entries, err = leaves(ctx, t.reader.fetch, tile); err != nil {
			return err
		}
		if err := t.checkLeaves(ctx, first, entries); err != nil {
			return err
		}
		if err := writeTile(dir, tile, joinBundle(entries)); err != nil {
			return err
		}
	}
	tile.L = 0
	hashes := make([]byte, 0, len(entries)*tlog.HashSize)
	for _, e := range entries {
		hash := tlog.RecordHash(e)
		hashes = append(hashes, hash[:]...)
	}
	return writeTile(dir, tile, hashes)
}

func writeTile(dir string, tile tlog.Tile, data []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(tilePath(tile)))
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(path, data, 0o644)
}

// RemovePartials removes from a directory the partial tiles of a tree of from
// entries that has grown to one of size entries.
func RemovePartials(dir string, from, size uint64) error {
	for level := -1; level == -1 || from>>(level*tileHeight) > 0; level++ {
		count := from >> (max(level, 0) * tileHeight)
		tile := tlog.Tile{H: tileHeight, L: level, N: int64(count / bundleWidth), W: int(count % bundleWidth)}
		if tile.W == 0 || widen(tile, int64(size)).W == tile.W {
			continue
		}
		err := durable.Remove(filepath.Join(dir, filepath.FromSlash(tilePath(tile))))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what is not needed any more: %w", err)
		}
	}
	return nil
}
