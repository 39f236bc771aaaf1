package outputmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
)

const keySize = len(attestation.OutputID{})

// appendIndex appends an index to a list whose last one is previous.
func appendIndex(list []byte, previous, index uint64) []byte {
	return binary.AppendUvarint(list, index-previous)
}

// encodeLeaf returns a leaf of the tree. The indices must ascend.
func encodeLeaf(key attestation.OutputID, indices []uint64) ([]byte, error) {
	if len(indices) == 0 {
		return nil, errors.New("a leaf lists no entries")
	}
	leaf := append(make([]byte, 0, keySize+4*len(indices)), key[:]...)
	previous := uint64(0)
	for i, index := range indices {
		if i > 0 && index <= previous {
			return nil, fmt.Errorf("index %d follows %d", index, previous)
		}
		leaf = appendIndex(leaf, previous, index)
		previous = index
	}
	return leaf, nil
}

// errList cannot be: a list is read when its leaf has been checked.
var errList = errors.New("a leaf's list is not as this program writes it")

// decodeList reads what follows the key in a leaf that this package wrote.
func decodeList(list []byte) ([]uint64, error) {
	var indices []uint64
	index := uint64(0)
	for len(list) > 0 {
		difference, n := binary.Uvarint(list)
		if n <= 0 {
			return nil, errList
		}
		index += difference
		indices = append(indices, index)
		list = list[n:]
	}
	return indices, nil
}

// leaves yields the encoded leaves of the map of size entries. The slice is
// valid until the next one is yielded.
func leaves(pairs iter.Seq2[Pair, error], size uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if size > maxNumber {
			yield(nil, fmt.Errorf("a ledger of %d entries is beyond 2^53", size))
			return
		}
		var last Pair
		var leaf []byte // last's, as far as it is known
		for pair, err := range pairs {
			if err == nil && pair.Index >= size {
				err = fmt.Errorf("entry %d is not among the first %d", pair.Index, size)
			}
			order := compareKeys(last.Key, pair.Key)
			if err == nil && len(leaf) > 0 && (order > 0 || order == 0 && last.Index >= pair.Index) {
				err = fmt.Errorf("entry %d of %x follows entry %d of %x: out of order, or twice", pair.Index, pair.Key, last.Index, last.Key)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if len(leaf) == 0 || order != 0 {
				if len(leaf) > 0 && !yield(leaf, nil) {
					return
				}
				leaf = append(leaf[:0], pair.Key[:]...)
				last.Index = 0
			}
			leaf = appendIndex(leaf, last.Index, pair.Index)
			last = pair
		}
		if len(leaf) > 0 {
			yield(leaf, nil)
		}
	}
}

// A block is up to 256 leaves that follow each other: the leaves below one hash of
// level 8. nodes[l] are its hashes of level l, as far as its leaves complete them.
type nodes [blockHeight + 1][]tlog.Hash

const (
	blockHeight = 8
	blockLeaves = 1 << blockHeight
)

func newNodes(leaves []tlog.Hash) *nodes {
	n := nodes{leaves}
	for level := 1; level < len(n); level++ {
		below := n[level-1]
		n[level] = make([]tlog.Hash, len(below)/2)
		for i := range n[level] {
			n[level][i] = tlog.NodeHash(below[2*i], below[2*i+1])
		}
	}
	return &n
}

// hash returns the Merkle hash of the block, which is full or the map's last.
func (n *nodes) hash() tlog.Hash {
	var hash tlog.Hash
	right := false // whether hash is that of leaves to the right
	for _, level := range n {
		switch {
		case len(level)%2 == 0:
		case right:
			hash = tlog.NodeHash(level[len(level)-1], hash)
		default:
			hash, right = level[len(level)-1], true
		}
	}
	return hash
}

// A tree reads the hashes of the whole tree from those of level 8 and up, and
// those of single blocks. It is a [tlog.HashReader].
type tree struct {
	upper []tlog.Hash // as tlog stores them: the blocks that are full are its records
	block func(number int64) (*nodes, error)
}

func (t tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, position := tlog.SplitStoredHashIndex(index)
		if level >= blockHeight {
			hashes[i] = t.upper[tlog.StoredHashIndex(level-blockHeight, position)]
			continue
		}
		number := position >> (blockHeight - level)
		n, err := t.block(number)
		if err != nil {
			return nil, err
		}
		hashes[i] = n[level][position-number<<(blockHeight-level)]
	}
	return hashes, nil
}

// grow adds the hash of the next full block to the upper tree.
func grow(upper []tlog.Hash, number int64, hash tlog.Hash) ([]tlog.Hash, error) {
	stored, err := tlog.StoredHashesForRecordHash(number, hash, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = upper[index]
		}
		return hashes, nil
	}))
	return append(upper, stored...), err
}
