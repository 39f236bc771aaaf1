package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is that of C2SP tlog-tiles: 256 hashes a tile.
const tileHeight = 8

// tilePath is a tile's path in C2SP tlog-tiles: that of the Go checksum database
// without the height, and "entries" for what that calls "data".
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if rest, isBundle := strings.CutPrefix(path, "data/"); isBundle {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// readTile fetches a tile or an entry bundle (level -1). A partial one that is
// gone has a full one in its place.
func readTile(ctx context.Context, fetch Fetcher, t tlog.Tile) ([]byte, error) {
	limit := int64(tlog.HashSize * bundleWidth)
	if t.L < 0 {
		limit = maxBundleSize
	}
	data, err := read(ctx, fetch, tilePath(t), limit)
	if errors.Is(err, fs.ErrNotExist) && t.W < bundleWidth {
		full := t
		full.W = bundleWidth
		data, err = read(ctx, fetch, tilePath(full), limit)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the log does not have what its checkpoint promises: %w", ErrInvalid, err)
	}
	if err != nil || t.L < 0 {
		return data, err
	}
	if len(data) < t.W*tlog.HashSize || len(data)%tlog.HashSize != 0 {
		return nil, fmt.Errorf("%w: %s has %d bytes, not %d", ErrInvalid, tilePath(t), len(data), t.W*tlog.HashSize)
	}
	return data[:t.W*tlog.HashSize], nil
}

// tileOf returns the tile that holds a stored hash in a tree of size entries,
// with all the hashes that it has there.
func tileOf(index, size int64) tlog.Tile {
	return widen(tlog.TileForIndex(tileHeight, index), size)
}

// widen gives a tile the width that it has in a tree of size entries.
func widen(t tlog.Tile, size int64) tlog.Tile {
	level := max(t.L, 0) * tileHeight
	t.W = int(min(bundleWidth, size>>level-t.N<<tileHeight))
	return t
}

// verifiedTiles is the [tlog.TileReader] below [tlog.TileHashReader], which
// checks what it returns against the tree's root, from the cache or not.
type verifiedTiles struct {
	ctx    context.Context //nolint:containedctx // the interface has no place for it
	reader *Reader
	failed error // of fetching: not the log's fault
}

func (v *verifiedTiles) Height() int { return tileHeight }

func (v *verifiedTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		if cached, ok := v.reader.tiles.get(t); ok {
			data[i] = cached
			continue
		}
		if data[i], v.failed = readTile(v.ctx, v.reader.fetch, t); v.failed != nil {
			return nil, v.failed
		}
	}
	return data, nil
}

func (v *verifiedTiles) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, t := range tiles {
		v.reader.tiles.put(t, data[i])
	}
}

// nodes are the hashes of a tile and all those above them that it determines:
// nodes[0] are its own, each further level has half as many.
type nodes [tileHeight][]tlog.Hash

func newNodes(data []byte) *nodes {
	var n nodes
	n[0] = make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range n[0] {
		n[0][i] = tlog.Hash(data[i*tlog.HashSize:])
	}
	for level := 1; level < tileHeight; level++ {
		below := n[level-1]
		n[level] = make([]tlog.Hash, len(below)/2)
		for i := range n[level] {
			n[level][i] = tlog.NodeHash(below[2*i], below[2*i+1])
		}
	}
	return &n
}

// localHashes is a [tlog.HashReader] over tiles that are believed. It computes
// the inner hashes of a tile once, because the proofs of many entries in a row
// share them.
type localHashes struct {
	ctx    context.Context //nolint:containedctx // the interface has no place for it
	reader *Reader
	size   int64
}

func (l localHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		t := tileOf(index, l.size)
		n, ok := l.reader.nodes.get(t)
		if !ok {
			data, err := readTile(l.ctx, l.reader.fetch, t)
			if err != nil {
				return nil, err
			}
			n = newNodes(data)
			l.reader.nodes.put(t, n)
		}
		level, position := tlog.SplitStoredHashIndex(index)
		level -= t.L * tileHeight
		position -= t.N << (tileHeight - level)
		if position < 0 || position >= int64(len(n[level])) {
			return nil, fmt.Errorf("hash %d is not in a tree of %d entries", index, l.size)
		}
		hashes[i] = n[level][position]
	}
	return hashes, nil
}

// cache keeps up to a number of values, and forgets all when it is full: a log
// is read along its length, so what is needed again is soon there again.
type cache[V any] struct {
	most   int
	mu     sync.Mutex // guards values
	values map[tlog.Tile]V
}

func (c *cache[V]) get(t tlog.Tile) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[t]
	return v, ok
}

func (c *cache[V]) put(t tlog.Tile, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil || len(c.values) >= c.most {
		c.values = map[tlog.Tile]V{}
	}
	c.values[t] = v
}
