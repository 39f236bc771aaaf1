package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Reader reads one log. It may be used from several goroutines.
//
//	reader := ledger.NewReader(ledger.HTTP(client, base), key)
//	checkpoint, err := reader.Checkpoint(ctx)
//	…
//	for record, err := range reader.Tree(checkpoint).Records(ctx, 0, checkpoint.Size) {
type Reader struct {
	fetch Fetcher
	log   note.Verifier
	tiles cache[[]byte] // as verified last; verified again under each tree
	nodes cache[*nodes] // of tiles that are believed
}

// NewReader returns a reader of the log that has the given key. Without a key
// (nil) the log cannot be checked, and [Reader.Local] is all that there is.
func NewReader(fetch Fetcher, log note.Verifier) *Reader {
	return &Reader{fetch: fetch, log: log, tiles: cache[[]byte]{most: 2048}, nodes: cache[*nodes]{most: 512}}
}

// Checkpoint fetches the log's latest checkpoint and checks its signature. That
// it continues an earlier one is the caller's to check, see
// [Tree.CheckContinues].
func (r *Reader) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	if r.log == nil {
		return nil, errors.New("reading checkpoint: the log's key is not known")
	}
	text, err := read(ctx, r.fetch, "checkpoint", maxCheckpointSize)
	if err != nil {
		return nil, err
	}
	return OpenCheckpoint(text, r.log)
}

// Tree is the log as a checkpoint commits to it: whatever is read from it is
// checked against the checkpoint's root.
func (r *Reader) Tree(c *Checkpoint) *Tree {
	return &Tree{reader: r, size: c.Size, checkpoint: c}
}

// Local is the log's first size entries with nothing checked: for the one who
// wrote them, and need not wait for a checkpoint.
func (r *Reader) Local(size uint64) *Tree {
	return &Tree{reader: r, size: size}
}

// A Tree is a log at one size.
type Tree struct {
	reader     *Reader
	size       uint64
	checkpoint *Checkpoint // nil: nothing is checked
}

// Size is the number of entries.
func (t *Tree) Size() uint64 { return t.size }

// Origin is the log's name; "" where the log's key is not known.
func (t *Tree) Origin() string {
	switch {
	case t.checkpoint != nil:
		return t.checkpoint.Origin
	case t.reader.log != nil:
		return t.reader.log.Name()
	}
	return ""
}

// A Record is an entry at its place in the log, encoded: in a log that is not
// one's own it can be anything.
type Record struct {
	Index uint64
	Data  []byte
}

// Entry decodes the record.
func (r Record) Entry() (*Entry, error) {
	e, err := DecodeEntry(r.Data)
	if err != nil {
		return nil, fmt.Errorf("ledger index %d: %w", r.Index, err)
	}
	return e, nil
}

// Kind returns what kind the entry is of, without opening it; "" of a record that
// is no entry.
func (r Record) Kind() Kind {
	if len(r.Data) < 2 || len(r.Data) < 2+int(r.Data[1]) {
		return ""
	}
	return Kind(r.Data[2 : 2+int(r.Data[1])])
}

// BundleWidth is the number of entries that are stored, fetched and checked
// together: the bundle n holds those from n×256 on.
const BundleWidth = bundleWidth

// Bundle returns the entries of a bundle that the tree has.
func (t *Tree) Bundle(ctx context.Context, bundle uint64) ([]Record, error) {
	first := bundle * bundleWidth
	if first >= t.size {
		return nil, fmt.Errorf("bundle %d is not in a tree of %d entries", bundle, t.size)
	}
	tile := widen(tlog.Tile{H: tileHeight, L: -1, N: int64(bundle)}, int64(t.size))
	entries, err := leaves(ctx, t.reader.fetch, tile)
	if err != nil {
		return nil, err
	}
	if t.checkpoint != nil {
		if err := t.checkLeaves(ctx, first, entries); err != nil {
			return nil, err
		}
	}
	records := make([]Record, len(entries))
	for i, e := range entries {
		records[i] = Record{first + uint64(i), e}
	}
	return records, nil
}

// leaves fetches the encoded entries of a bundle, unchecked.
func leaves(ctx context.Context, fetch Fetcher, bundle tlog.Tile) ([][]byte, error) {
	data, err := readTile(ctx, fetch, bundle)
	if err != nil {
		return nil, err
	}
	entries, err := parseBundle(data, bundle.W)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, tilePath(bundle), err)
	}
	return entries, nil
}

// LeafHashes returns the hashes of the entries of a bundle that the tree has.
func (t *Tree) LeafHashes(ctx context.Context, bundle uint64) ([]tlog.Hash, error) {
	first := bundle * bundleWidth
	if first >= t.size {
		return nil, fmt.Errorf("bundle %d is not in a tree of %d entries", bundle, t.size)
	}
	indexes := make([]int64, min(bundleWidth, t.size-first))
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(first)+int64(i))
	}
	return t.readHashes(ctx, indexes)
}

func (t *Tree) checkLeaves(ctx context.Context, first uint64, entries [][]byte) error {
	hashes, err := t.LeafHashes(ctx, first/bundleWidth)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if tlog.RecordHash(e) != hashes[i] {
			return fmt.Errorf("%w: entry %d is not the one in the tree of %d entries that the log signed", ErrInvalid, first+uint64(i), t.size)
		}
	}
	return nil
}

// Records yields the entries from one index up to another, which is not among
// them. After an error it yields no more.
func (t *Tree) Records(ctx context.Context, from, to uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if to > t.size {
			yield(Record{}, fmt.Errorf("reading entries %d to %d: the tree has %d entries", from, to, t.size))
			return
		}
		for bundle := from / bundleWidth; bundle*bundleWidth < to; bundle++ {
			records, err := t.Bundle(ctx, bundle)
			if err != nil {
				yield(Record{}, fmt.Errorf("reading entries %d to %d: %w", from, to, err))
				return
			}
			for _, r := range records {
				if r.Index >= from && r.Index < to && !yield(r, nil) {
					return
				}
			}
		}
	}
}

// Record returns one entry.
func (t *Tree) Record(ctx context.Context, index uint64) (Record, error) {
	if index >= t.size {
		return Record{}, fmt.Errorf("entry %d is not in a tree of %d entries", index, t.size)
	}
	records, err := t.Bundle(ctx, index/bundleWidth)
	if err != nil {
		return Record{}, fmt.Errorf("reading entry %d: %w", index, err)
	}
	return records[index%bundleWidth], nil
}

// Attachment returns an attachment that an entry of the log names, from where the
// log is read.
func (t *Tree) Attachment(ctx context.Context, id AttachmentID) ([]byte, error) {
	return FetchAttachment(ctx, t.reader.fetch, id)
}

// ProveInclusion returns the audit path of an entry.
func (t *Tree) ProveInclusion(ctx context.Context, index uint64) ([]tlog.Hash, error) {
	if index >= t.size {
		return nil, fmt.Errorf("proving inclusion: entry %d is not in a tree of %d entries", index, t.size)
	}
	proof, err := tlog.ProveRecord(int64(t.size), int64(index), t.hashes(ctx))
	if err != nil {
		return nil, fmt.Errorf("proving inclusion of entry %d in %d: %w", index, t.size, err)
	}
	return proof, nil
}

// ProveConsistency returns the proof that the tree continues the one of the
// first size entries.
func (t *Tree) ProveConsistency(ctx context.Context, size uint64) ([]tlog.Hash, error) {
	if size == 0 || size > t.size {
		return nil, fmt.Errorf("proving consistency: %d entries are no part of a tree of %d", size, t.size)
	}
	proof, err := tlog.ProveTree(int64(t.size), int64(size), t.hashes(ctx))
	if err != nil {
		return nil, fmt.Errorf("proving consistency of %d and %d entries: %w", size, t.size, err)
	}
	return proof, nil
}

// Root computes the root hash of the log's first size entries.
func (t *Tree) Root(ctx context.Context, size uint64) (tlog.Hash, error) {
	switch {
	case size > t.size:
		return tlog.Hash{}, fmt.Errorf("computing root: %d entries are no part of a tree of %d", size, t.size)
	case size == 0:
		return sha256.Sum256(nil), nil // RFC 6962, section 2.1
	case t.checkpoint != nil && size == t.size:
		return t.checkpoint.Root, nil
	}
	root, err := tlog.TreeHash(int64(size), t.hashes(ctx))
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("computing root of %d entries: %w", size, err)
	}
	return root, nil
}

// A ForkError says that a log signed two states of which neither continues the
// other. The two checkpoints are the proof, for whoever knows the log's key.
type ForkError struct {
	Old, New *Checkpoint
	// Root is that of New's tree at Old's size.
	Root tlog.Hash
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("%v: %s signed two histories: a tree of %d entries with root %s, and one of %d entries that has root %s there",
		ErrInvalid, e.Old.Origin, e.Old.Size, e.Old.Root, e.New.Size, e.Root)
}

// Unwrap returns [ErrInvalid].
func (e *ForkError) Unwrap() error { return ErrInvalid }

// CheckContinues checks that the tree begins with the one of an earlier
// checkpoint. If it does not, the error is a [*ForkError].
func (t *Tree) CheckContinues(ctx context.Context, old *Checkpoint) error {
	root, err := t.Root(ctx, old.Size)
	if err != nil {
		return err
	}
	if root != old.Root {
		return &ForkError{Old: old, New: t.checkpoint, Root: root}
	}
	return nil
}

func (t *Tree) hashes(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return t.readHashes(ctx, indexes) })
}

func (t *Tree) readHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	if t.checkpoint == nil {
		return localHashes{ctx, t.reader, int64(t.size)}.ReadHashes(indexes)
	}
	tiles := &verifiedTiles{ctx: ctx, reader: t.reader}
	hashes, err := tlog.TileHashReader(t.checkpoint.tree(), tiles).ReadHashes(indexes)
	if err == nil || tiles.failed != nil {
		return hashes, err
	}
	return nil, fmt.Errorf("%w: tiles do not make up the tree of %d entries that the log signed: %w", ErrInvalid, t.size, err)
}
