package outputmap

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
)

// TestAgainstNaive compares roots, proofs and contents with the definition, at
// sizes around those of blocks and of whole trees.
func TestAgainstNaive(t *testing.T) {
	for _, keys := range []int{0, 1, 2, 3, 7, 255, 256, 257, 511, 512, 513, 1000, 2048, 2100} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(keys)))
			m, size := random(r, keys)
			s := mustBuild(t, m.pairs(), size)
			want := m.root(size)
			if s.Root() != want {
				t.Fatalf("root %v, want %v", s.Root(), want)
			}
			if sum, err := Sum(m.pairs(), size); err != nil || sum != want {
				t.Errorf("Sum = %v, %v, want %v", sum, err, want)
			}
			var first, last attestation.OutputID
			for i := range last {
				last[i] = 0xff
			}
			ask := []attestation.OutputID{first, last, RosterKey()}
			for i, key := range m.keys() {
				if end := i % blockLeaves; i%7 != 0 && i != keys-1 && end != 0 && end != blockLeaves-1 {
					continue
				}
				before, after := key, key
				before[19]--
				after[19]++
				ask = append(ask, key, before, after)
			}
			for _, key := range ask {
				data, err := mustProve(t, s, key).Encode()
				if err != nil {
					t.Fatal(err)
				}
				proof, err := ParseProof(data)
				if err != nil {
					t.Fatal(err)
				}
				got, err := proof.Verify(want, key)
				if err != nil {
					t.Fatalf("%x: %v", key, err)
				}
				if diff := cmp.Diff(m[key], got, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("%x (-want +got):\n%s", key, diff)
				}
			}
			if diff := cmp.Diff(collect(t, m.pairs()), collect(t, new(Sorter).Pairs(s))); diff != "" {
				t.Errorf("contents (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBlockHash: what the file of blocks holds is as documented, also of the last.
func TestBlockHash(t *testing.T) {
	var leaves [][]byte
	var hashes []tlog.Hash
	for n := range blockLeaves {
		leaves = append(leaves, []byte{byte(n)})
		hashes = append(hashes, tlog.RecordHash(leaves[n]))
		if newNodes(hashes).hash() != naiveHash(leaves) {
			t.Errorf("another hash of %d leaves", n+1)
		}
	}
}

func collect(t *testing.T, pairs iter.Seq2[Pair, error]) []Pair {
	t.Helper()
	var all []Pair
	for pair, err := range pairs {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pair)
	}
	return all
}

func TestRefusedPairs(t *testing.T) {
	broken := errors.New("connection lost")
	for _, tc := range []struct {
		name  string
		pairs []Pair
		size  uint64
		err   error
		want  string
	}{
		{name: "keys out of order", pairs: []Pair{{key(2), 0}, {key(1), 1}}, size: 9, want: "out of order"},
		{name: "duplicate key", pairs: []Pair{{key(1), 0}, {key(2), 0}, {key(1), 1}}, size: 9, want: "out of order"},
		{name: "indices out of order", pairs: []Pair{{key(1), 5}, {key(1), 4}}, size: 9, want: "out of order"},
		{name: "duplicate pair", pairs: []Pair{{key(1), 5}, {key(1), 5}}, size: 9, want: "twice"},
		{name: "entry not in the ledger", pairs: []Pair{{key(1), 9}}, size: 9, want: "not among the first 9"},
		{name: "entry of an empty ledger", pairs: []Pair{{key(1), 0}}, size: 0, want: "not among the first 0"},
		{name: "size", size: maxNumber + 1, want: "2^53"},
		{name: "broken source", pairs: []Pair{{key(1), 0}}, size: 9, err: broken, want: "connection lost"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pairs := func(yield func(Pair, error) bool) {
				for _, p := range tc.pairs {
					if !yield(p, nil) {
						return
					}
				}
				if tc.err != nil {
					yield(Pair{}, tc.err)
				}
			}
			_, err := Sum(pairs, tc.size)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Sum: %v, want %q", err, tc.want)
			}
			if tc.err != nil && !errors.Is(err, tc.err) {
				t.Errorf("Sum: %v does not wrap the cause", err)
			}
		})
	}
}
