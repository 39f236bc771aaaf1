package outputmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
	"repronet.dev/reading"
)

// A Snapshot is a map on disk. It may be used from several goroutines.
type Snapshot struct {
	dir    string
	root   Root
	file   *os.File    // leaves
	blocks []byte      // the file of that name
	upper  []tlog.Hash // see [tree]
}

// Open opens what [Build] wrote. It reads a quarter of a byte for each key, and checks
// that they make up the root.
func Open(dir string) (*Snapshot, error) {
	s, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening map %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string) (_ *Snapshot, err error) {
	s := &Snapshot{dir: dir}
	body, err := os.ReadFile(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	if s.root, err = reading.ParseMapRoot(maxNumber, body); err != nil {
		return nil, err
	}
	if s.blocks, err = os.ReadFile(filepath.Join(dir, blocksFile)); err != nil {
		return nil, err
	}
	if s.file, err = os.Open(filepath.Join(dir, leavesFile)); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

// errDamaged is what a snapshot says that is not as Build wrote it.
var errDamaged = errors.New("the snapshot is damaged: build it again")

// check computes the upper tree from the hashes of the blocks, and the root.
func (s *Snapshot) check() error {
	count := int((s.root.Leaves + blockLeaves - 1) / blockLeaves)
	if len(s.blocks) != count*blockRowSize {
		return fmt.Errorf("%w: %s has not the size for %d leaves", errDamaged, blocksFile, s.root.Leaves)
	}
	end := int64(0)
	for number := range int64(count) {
		_, next, hash := s.row(number)
		if next <= end {
			return fmt.Errorf("%w: block %d of %s is out of order", errDamaged, number, blocksFile)
		}
		end = next
		if uint64(number) < s.root.Leaves/blockLeaves {
			var err error
			if s.upper, err = grow(s.upper, number, hash); err != nil {
				return err
			}
		}
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != end {
		return fmt.Errorf("%w: %s has %d bytes, not %d", errDamaged, leavesFile, info.Size(), end)
	}
	hash, err := tlog.TreeHash(int64(s.root.Leaves), s.view())
	if err != nil {
		return err
	}
	if hash != s.root.Hash {
		return fmt.Errorf("%w: its leaves do not make up its root", errDamaged)
	}
	return nil
}

// row returns what the file of blocks says of one.
func (s *Snapshot) row(number int64) (first attestation.OutputID, end int64, hash tlog.Hash) {
	row := s.blocks[number*int64(blockRowSize):]
	return attestation.OutputID(row[:keySize]), int64(binary.BigEndian.Uint64(row[keySize:])), tlog.Hash(row[keySize+8 : blockRowSize])
}

// Root returns the map's commitment.
func (s *Snapshot) Root() Root { return s.root }

// Close ends the use of the snapshot. The directory can be removed before that.
func (s *Snapshot) Close() error { return s.file.Close() }

// Prove returns the proof of which entries are about the key. It reads one block,
// or two, and checks them against the root.
func (s *Snapshot) Prove(key attestation.OutputID) (*Proof, error) {
	proof, err := s.prove(key)
	if err != nil {
		return nil, fmt.Errorf("proving entries of %x: %w", key, err)
	}
	return proof, nil
}

func (s *Snapshot) prove(key attestation.OutputID) (*Proof, error) {
	if s.root.Leaves == 0 {
		return &Proof{}, nil
	}
	v := s.view()
	position, found, err := v.position(key)
	if err != nil {
		return nil, err
	}
	proof := &Proof{}
	if !found && position > 0 {
		if err := v.add(proof, position-1); err != nil {
			return nil, err
		}
	}
	if position < s.root.Leaves {
		if err := v.add(proof, position); err != nil {
			return nil, err
		}
	}
	return proof, nil
}

// A view reads each block of a snapshot once.
type view struct {
	tree
	snapshot *Snapshot
	blocks   map[int64]*block
}

func (s *Snapshot) view() *view {
	v := &view{snapshot: s, blocks: map[int64]*block{}}
	v.tree = tree{s.upper, func(number int64) (*nodes, error) {
		b, err := v.load(number)
		if err != nil {
			return nil, err
		}
		return b.nodes, nil
	}}
	return v
}

func (v *view) load(number int64) (*block, error) {
	b, ok := v.blocks[number]
	if !ok {
		var err error
		if b, err = v.snapshot.load(number); err != nil {
			return nil, err
		}
		v.blocks[number] = b
	}
	return b, nil
}

// position returns the place of the first leaf that is not before a key, and whether it is
// that of the key.
func (v *view) position(key attestation.OutputID) (position uint64, found bool, err error) {
	// The key is in the last block that does not begin after it.
	number := int64(sort.Search(len(v.snapshot.blocks)/blockRowSize, func(i int) bool {
		first, _, _ := v.snapshot.row(int64(i))
		return compareKeys(first, key) > 0
	})) - 1
	if number < 0 {
		return 0, false, nil
	}
	b, err := v.load(number)
	if err != nil {
		return 0, false, err
	}
	i, exact := b.find(key)
	return uint64(number)*blockLeaves + uint64(i), exact, nil
}

// add appends the leaf at a position to the proof.
func (v *view) add(proof *Proof, position uint64) error {
	b, err := v.load(int64(position / blockLeaves))
	if err != nil {
		return err
	}
	encoded := b.leaves[position%blockLeaves]
	leaf := Leaf{Position: position, Key: attestation.OutputID(encoded[:keySize])}
	if leaf.Entries, err = decodeList(encoded[keySize:]); err != nil {
		return err
	}
	if leaf.Path, err = tlog.ProveRecord(int64(v.snapshot.root.Leaves), int64(position), v); err != nil {
		return err
	}
	proof.Leaves = append(proof.Leaves, leaf)
	return nil
}

type block struct {
	leaves [][]byte
	nodes  *nodes
}

// find returns the place in the block of the first leaf that is not before a key, and
// whether it is that of the key.
func (b *block) find(key attestation.OutputID) (int, bool) {
	return sort.Find(len(b.leaves), func(i int) int { return bytes.Compare(key[:], b.leaves[i][:keySize]) })
}

// load reads a block, and checks it against its hash.
func (s *Snapshot) load(number int64) (*block, error) {
	start := int64(0)
	if number > 0 {
		_, start, _ = s.row(number - 1)
	}
	first, end, hash := s.row(number)
	data := make([]byte, end-start)
	if _, err := s.file.ReadAt(data, start); err != nil {
		return nil, fmt.Errorf("reading %s: %w", leavesFile, err)
	}
	b := &block{}
	var hashes []tlog.Hash
	for len(data) > 0 {
		length, n := binary.Uvarint(data)
		if n <= 0 || length > uint64(len(data)-n) {
			return nil, fmt.Errorf("%w: block %d of %s", errDamaged, number, leavesFile)
		}
		leaf := data[n:][:length]
		b.leaves = append(b.leaves, leaf)
		hashes = append(hashes, tlog.RecordHash(leaf))
		data = data[n:][length:]
	}
	b.nodes = newNodes(hashes)
	if uint64(len(hashes)) != min(blockLeaves, s.root.Leaves-uint64(number)*blockLeaves) ||
		b.nodes.hash() != hash || attestation.OutputID(b.leaves[0][:keySize]) != first {
		return nil, fmt.Errorf("%w: block %d of %s", errDamaged, number, leavesFile)
	}
	return b, nil
}

// cursor returns the map's pairs as a [cursor].
func (s *Snapshot) cursor() cursor {
	var pair Pair
	var list []byte     // what is left of the leaf's
	var leaves [][]byte // what is left of the block
	number := int64(0)
	return func() (Pair, error) {
		if len(list) == 0 && len(leaves) == 0 {
			if uint64(number)*blockLeaves >= s.root.Leaves {
				return Pair{}, io.EOF
			}
			b, err := s.load(number)
			if err != nil {
				return Pair{}, err
			}
			leaves = b.leaves
			number++
		}
		if len(list) == 0 {
			pair, list = Pair{Key: attestation.OutputID(leaves[0][:keySize])}, leaves[0][keySize:]
			leaves = leaves[1:]
		}
		difference, n := binary.Uvarint(list)
		if n <= 0 {
			return Pair{}, errList
		}
		pair.Index += difference
		list = list[n:]
		return pair, nil
	}
}
