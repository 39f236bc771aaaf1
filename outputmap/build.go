package outputmap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/durable"
)

// A snapshot is a directory of three files:
//
//	leaves   every leaf, its length (uvarint) before it
//	blocks   of every 256 leaves: key of the first | where they end in the file
//	         leaves (8 bytes, big-endian) | their Merkle hash
//	root     the body of the map's entry
//
// The hashes below a block's are computed from its leaves when they are asked for.
const (
	leavesFile   = "leaves"
	blocksFile   = "blocks"
	rootFile     = "root"
	blockRowSize = keySize + 8 + tlog.HashSize
)

// Sum computes the root of the map of the ledger's first size entries. The pairs
// come in the order of key and index, each once; in an error of theirs it ends.
// Memory use is that of the longest list, and a quarter of a byte for each key.
func Sum(pairs iter.Seq2[Pair, error], size uint64) (Root, error) {
	root, err := write(pairs, size, io.Discard, io.Discard)
	if err != nil {
		return Root{}, fmt.Errorf("computing map of %d entries: %w", size, err)
	}
	return root, nil
}

// Build is [Sum], and writes the map to the directory dir, which appears complete
// and durable or not at all, and is not replaced if it is there. Whatever an interrupted Build left beside it
// is removed, so there is one Build at a time below one parent directory.
func Build(dir string, pairs iter.Seq2[Pair, error], size uint64) (*Snapshot, error) {
	if err := build(dir, pairs, size); err != nil {
		return nil, fmt.Errorf("building map of %d entries in %s: %w", size, dir, err)
	}
	return Open(dir)
}

func build(dir string, pairs iter.Seq2[Pair, error], size uint64) (err error) {
	unfinished := filepath.Join(filepath.Dir(dir), ".unfinished-map")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := durable.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(unfinished))
		}
	}()
	var root Root
	err = create(filepath.Join(unfinished, leavesFile), func(leaves io.Writer) error {
		return create(filepath.Join(unfinished, blocksFile), func(blocks io.Writer) (err error) {
			root, err = write(pairs, size, leaves, blocks)
			return err
		})
	})
	if err != nil {
		return err
	}
	body, err := root.Encode()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(unfinished, rootFile), body, 0o644); err != nil {
		return err
	}
	return durable.Rename(unfinished, dir)
}

// create writes a file and makes its contents durable.
func create(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 1<<16)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// A writer writes leaves and blocks, and keeps what the root is computed from.
type writer struct {
	leaves, blocks io.Writer
	written        uint64 // bytes of leaves

	full   int64 // blocks
	upper  []tlog.Hash
	hashes []tlog.Hash // of the leaves of the block that is not full yet
	row    []byte      // of that block
}

func write(pairs iter.Seq2[Pair, error], size uint64, leavesTo, blocksTo io.Writer) (Root, error) {
	w := &writer{leaves: leavesTo, blocks: blocksTo}
	for leaf, err := range leaves(pairs, size) {
		if err != nil {
			return Root{}, err
		}
		if err := w.leaf(leaf); err != nil {
			return Root{}, err
		}
	}
	count := w.full*blockLeaves + int64(len(w.hashes))
	last := newNodes(w.hashes)
	hash, err := tlog.TreeHash(count, tree{w.upper, func(int64) (*nodes, error) { return last, nil }})
	if err != nil {
		return Root{}, err
	}
	if len(w.hashes) > 0 {
		if err := w.endBlock(last); err != nil {
			return Root{}, err
		}
	}
	return Root{Size: size, Leaves: uint64(count), Hash: hash}, nil
}

func (w *writer) leaf(leaf []byte) error {
	if len(w.hashes) == 0 {
		w.row = append(w.row[:0], leaf[:keySize]...)
	}
	w.hashes = append(w.hashes, tlog.RecordHash(leaf))
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(leaf)))
	for _, part := range [][]byte{length[:n], leaf} {
		if _, err := w.leaves.Write(part); err != nil {
			return err
		}
		w.written += uint64(len(part))
	}
	if len(w.hashes) < blockLeaves {
		return nil
	}
	return w.endBlock(newNodes(w.hashes))
}

func (w *writer) endBlock(n *nodes) (err error) {
	w.row = binary.BigEndian.AppendUint64(w.row, w.written)
	hash := n.hash()
	if _, err := w.blocks.Write(append(w.row, hash[:]...)); err != nil {
		return err
	}
	if len(w.hashes) == blockLeaves {
		w.upper, err = grow(w.upper, w.full, hash)
		w.full++
	}
	w.hashes = nil
	return err
}
