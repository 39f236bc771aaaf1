package outputmap

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
)

// naive is a map as its definition says it, in memory, without the code under
// test.
type naive map[attestation.OutputID][]uint64

// pairs yields the map in order.
func (m naive) pairs() iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		for _, key := range m.keys() {
			for _, index := range m[key] {
				if !yield(Pair{key, index}, nil) {
					return
				}
			}
		}
	}
}

func (m naive) keys() []attestation.OutputID {
	var keys []attestation.OutputID
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b attestation.OutputID) int { return slices.Compare(a[:], b[:]) })
	return keys
}

func (m naive) root(size uint64) Root {
	var leaves [][]byte
	for _, key := range m.keys() {
		leaves = append(leaves, naiveLeaf(key, m[key]...))
	}
	return Root{Size: size, Leaves: uint64(len(leaves)), Hash: naiveHash(leaves)}
}

func naiveLeaf(key attestation.OutputID, indices ...uint64) []byte {
	leaf := key[:]
	for i, index := range indices {
		if i > 0 {
			index -= indices[i-1]
		}
		leaf = binary.AppendUvarint(leaf, index)
	}
	return leaf
}

// naiveHash is MTH of RFC 6962, section 2.1.
func naiveHash(leaves [][]byte) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		left, right := naiveHash(leaves[:k]), naiveHash(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

// naivePath is PATH of RFC 6962, section 2.1.1.
func naivePath(position int, leaves [][]byte) []tlog.Hash {
	n := len(leaves)
	if n == 1 {
		return nil
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	if position < k {
		return append(naivePath(position, leaves[:k]), naiveHash(leaves[k:]))
	}
	return append(naivePath(position-k, leaves[k:]), naiveHash(leaves[:k]))
}

// random returns a map of the given number of keys, most of them with neighbours
// that differ only in the last byte, and its ledger's size.
func random(r *rand.Rand, keys int) (naive, uint64) {
	m := naive{}
	size := uint64(0)
	for len(m) < keys {
		var key attestation.OutputID
		binary.BigEndian.PutUint64(key[:], r.Uint64())
		for range min(keys-len(m), 1+r.IntN(4)) {
			key[19] += 2
			index := r.Uint64N(1 << r.IntN(40))
			for range 1 + r.IntN(6) {
				m[key] = append(m[key], index)
				size = max(size, index+1)
				index += 1 + r.Uint64N(1<<r.IntN(20))
			}
		}
	}
	return m, size
}

// small returns a map of keys that end in 2, 4, 6, …, so that there are keys
// between, before and after them.
func small(keys int) (m naive, size uint64) {
	m = naive{}
	for i := range keys {
		m[key(2*i+2)] = []uint64{uint64(i), uint64(i + 10)}
	}
	return m, uint64(keys + 10)
}

func key(n int) attestation.OutputID {
	var k attestation.OutputID
	binary.BigEndian.PutUint64(k[12:], uint64(n))
	return k
}

// mustBuild builds a map in a new directory.
func mustBuild(t testing.TB, pairs iter.Seq2[Pair, error], size uint64) *Snapshot {
	t.Helper()
	s, err := Build(filepath.Join(t.TempDir(), "maps", "1"), pairs, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustProve(t testing.TB, s *Snapshot, key attestation.OutputID) *Proof {
	t.Helper()
	p, err := s.Prove(key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
