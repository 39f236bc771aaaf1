package writer

import (
	"crypto/sha256"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
)

// An edge is the right edge of a tree: all of the tree that appending to it needs.
// It is held in memory, and what is on disk is only read where it has to be proven
// again, so that damage to the files never gets into what is signed.
type edge struct {
	size uint64
	// levels holds, from the leaves up, the hashes of the tile that is not
	// complete: fewer than 256 each.
	levels [][]tlog.Hash
	// bundle is the entry bundle that is not complete, as it is stored.
	bundle []byte
}

// A file is what is to be written, by its path in the log.
type file struct {
	path string
	data []byte
}

// clone returns a copy that can grow on its own.
func (e *edge) clone() *edge {
	c := &edge{size: e.size, bundle: slices.Clip(e.bundle), levels: make([][]tlog.Hash, len(e.levels))}
	for i, hashes := range e.levels {
		c.levels[i] = slices.Clip(hashes)
	}
	return c
}

// add appends an entry. What is complete with it is passed to done.
func (e *edge) add(entry []byte, done func(file)) {
	e.bundle = ledger.AppendToBundle(e.bundle, entry)
	if n := e.size / ledger.BundleWidth; e.size%ledger.BundleWidth == ledger.BundleWidth-1 {
		done(file{ledger.TilePath(-1, n, ledger.BundleWidth), e.bundle})
		e.bundle = nil
	}
	e.push(tlog.RecordHash(entry), done)
}

// push appends the hash of a leaf, without its entry.
func (e *edge) push(hash tlog.Hash, done func(file)) {
	e.size++
	e.pushAt(0, hash, done)
}

// pushComplete appends 256 leaves of which only the hash above them is known.
func (e *edge) pushComplete(hash tlog.Hash, done func(file)) {
	if len(e.levels) == 0 {
		e.levels = append(e.levels, nil)
	}
	e.size += ledger.BundleWidth
	e.pushAt(1, hash, done)
}

func (e *edge) pushAt(level int, hash tlog.Hash, done func(file)) {
	for ; ; level++ {
		if level == len(e.levels) {
			e.levels = append(e.levels, nil)
		}
		e.levels[level] = append(e.levels[level], hash)
		tile := e.levels[level]
		if len(tile) < ledger.BundleWidth {
			return
		}
		done(file{ledger.TilePath(level, e.tile(level)-1, ledger.BundleWidth), tileData(tile)})
		hash, e.levels[level] = perfect(tile), nil
	}
}

// tile is the number of a level's tile that is not complete.
func (e *edge) tile(level int) uint64 { return e.size >> (8 * (level + 1)) }

// partials returns what is not complete: the bundle, and the tiles of all levels.
func (e *edge) partials() []file {
	var files []file
	if len(e.bundle) > 0 {
		files = append(files, file{ledger.TilePath(-1, e.tile(0), len(e.levels[0])), e.bundle})
	}
	for level, tile := range e.levels {
		if len(tile) > 0 {
			files = append(files, file{ledger.TilePath(level, e.tile(level), len(tile)), tileData(tile)})
		}
	}
	return files
}

// newPartials returns what is not complete, without what an earlier state of the
// same tree has already.
func (e *edge) newPartials(before *edge) []file {
	var files []file
	old := map[string]bool{}
	for _, f := range before.partials() {
		old[f.path] = true
	}
	for _, f := range e.partials() {
		if !old[f.path] {
			files = append(files, f)
		}
	}
	return files
}

// root is the tree's RFC 6962 root hash.
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		return sha256.Sum256(nil)
	}
	var root tlog.Hash
	first := true
	for _, tile := range e.levels { // from the right, and the lowest, to the left
		for width := 1; len(tile) > 0; width *= 2 {
			if len(tile)&width == 0 {
				continue
			}
			left := perfect(tile[len(tile)-width:])
			tile = tile[:len(tile)-width]
			if first {
				root, first = left, false
			} else {
				root = tlog.NodeHash(left, root)
			}
		}
	}
	return root
}

// perfect is the hash of the tree over hashes whose number is a power of two.
func perfect(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(perfect(hashes[:half]), perfect(hashes[half:]))
}

func tileData(hashes []tlog.Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}

func tileHashes(data []byte) []tlog.Hash {
	hashes := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range hashes {
		hashes[i] = tlog.Hash(data[i*tlog.HashSize:])
	}
	return hashes
}
