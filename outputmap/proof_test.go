package outputmap

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
)

// TestForgedProofs changes proofs of an honest map of 300 keys (2, 4, … 600) in
// every way that would hide an entry, or make one up.
func TestForgedProofs(t *testing.T) {
	m, size := small(300)
	s := mustBuild(t, m.pairs(), size)
	for _, tc := range []struct {
		name string
		ask  int
		of   int // key whose honest proof is changed
		edit func(p *Proof, r *Root)
		want string
	}{
		{"entry left out", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Entries = p.Leaves[0].Entries[:1] }, "not in the map"},
		{"entry added", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Entries = append(p.Leaves[0].Entries, 200) }, "not in the map"},
		{"all entries left out", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Entries = nil }, "no entries"},
		{"entries swapped", 100, 100, func(p *Proof, _ *Root) { slices.Reverse(p.Leaves[0].Entries) }, "follows"},
		{"entry repeated", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Entries[1] = p.Leaves[0].Entries[0] }, "follows"},
		{"another key's entries", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Entries = mustProve(t, s, key(102)).Leaves[0].Entries }, "not in the map"},
		{"another key's leaf", 100, 102, func(*Proof, *Root) {}, "neither that of"},
		{"another key's leaf renamed", 100, 102, func(p *Proof, _ *Root) { p.Leaves[0].Key = key(100) }, "not in the map"},
		{"path cut", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Path = p.Leaves[0].Path[1:] }, "not in the map"},
		{"path cut at the root", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Path = p.Leaves[0].Path[:len(p.Leaves[0].Path)-1] }, "not in the map"},
		{"path extended", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Path = append(p.Leaves[0].Path, tlog.Hash{}) }, "not in the map"},
		{"path endless", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Path = make([]tlog.Hash, 1000) }, "longer than any"},
		{"path empty", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Path = nil }, "not in the map"},
		{"position", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Position++ }, "not in the map"},
		{"position beyond the map", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Position = 300 }, "in a map of 300 leaves"},
		{"position beyond numbers", 100, 100, func(p *Proof, _ *Root) { p.Leaves[0].Position = 1 << 63 }, "in a map of 300 leaves"},
		{"hash of another map", 100, 100, func(_ *Proof, r *Root) { r.Hash[0] ^= 1 }, "not in the map"},
		{"larger tree", 100, 100, func(_ *Proof, r *Root) { r.Leaves = 600 }, "not in the map"},
		{"smaller tree", 100, 100, func(_ *Proof, r *Root) { r.Leaves = 200 }, "not in the map"},
		{"tree beyond numbers", 100, 100, func(_ *Proof, r *Root) { r.Leaves = 1<<63 - 1 }, "2^53"},
		{"entry after the ledger's end", 100, 100, func(_ *Proof, r *Root) { r.Size = 30 }, "the map is that of the first 30"},
		{"three leaves", 101, 101, func(p *Proof, _ *Root) { p.Leaves = append(p.Leaves, p.Leaves[1]) }, "at most 2"},
		{"no leaves", 100, 100, func(p *Proof, _ *Root) { p.Leaves = nil }, "has no leaf"},
		{"map said to be empty", 100, 100, func(p *Proof, r *Root) { p.Leaves, r.Leaves = nil, 0 }, "without leaves"},

		{"neighbours with the key between left out", 100, 100, func(p *Proof, _ *Root) {
			p.Leaves = []Leaf{mustProve(t, s, key(98)).Leaves[0], mustProve(t, s, key(102)).Leaves[0]}
		}, "not neighbours"},
		{"far neighbours", 101, 101, func(p *Proof, _ *Root) { p.Leaves[1] = mustProve(t, s, key(600)).Leaves[0] }, "not neighbours"},
		{"one leaf as both neighbours", 101, 101, func(p *Proof, _ *Root) { p.Leaves[1] = p.Leaves[0] }, "not neighbours"},
		{"neighbours reversed", 101, 101, func(p *Proof, _ *Root) { slices.Reverse(p.Leaves) }, "not neighbours"},
		{"neighbour's position", 101, 101, func(p *Proof, _ *Root) { p.Leaves[1].Position++ }, "not in the map"},
		{"neighbours of another gap", 101, 103, func(*Proof, *Root) {}, "not between"},
		{"the key and its neighbour", 100, 101, func(*Proof, *Root) {}, "not between"},
		{"the key after its neighbour", 100, 99, func(*Proof, *Root) {}, "not between"},
		{"one neighbour left out", 101, 101, func(p *Proof, _ *Root) { p.Leaves = p.Leaves[:1] }, "neither that of"},
		{"the other neighbour left out", 101, 101, func(p *Proof, _ *Root) { p.Leaves = p.Leaves[1:] }, "neither that of"},
		{"before the first, which is not", 100, 1, func(*Proof, *Root) {}, "neither that of"},
		{"after the last, which is not", 100, 601, func(*Proof, *Root) {}, "neither that of"},
		{"the last of a shorter tree", 400, 399, func(p *Proof, r *Root) { p.Leaves, r.Leaves = p.Leaves[:1], 200 }, "not in the map"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			proof, root := mustProve(t, s, key(tc.of)), s.Root()
			if _, err := proof.Verify(root, key(tc.of)); err != nil {
				t.Fatalf("honest proof: %v", err)
			}
			tc.edit(proof, &root)
			indices, err := proof.Verify(root, key(tc.ask))
			if !errors.Is(err, ErrInvalid) || indices != nil {
				t.Fatalf("accepted: %v, %v", indices, err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestEnds has the proofs of absence that need one leaf, or none.
func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name      string
		keys, ask int
		positions []uint64
	}{
		{"empty map", 0, 1, nil},
		{"before the only one", 1, 1, []uint64{0}},
		{"the only one", 1, 2, []uint64{0}},
		{"after the only one", 1, 3, []uint64{0}},
		{"before the first", 300, 0, []uint64{0}},
		{"after the last", 300, 601, []uint64{299}},
		{"on both sides of a block's end", 300, 513, []uint64{255, 256}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, size := small(tc.keys)
			s := mustBuild(t, m.pairs(), size)
			proof := mustProve(t, s, key(tc.ask))
			var positions []uint64
			for _, leaf := range proof.Leaves {
				positions = append(positions, leaf.Position)
			}
			if diff := cmp.Diff(tc.positions, positions); diff != "" {
				t.Errorf("positions (-want +got):\n%s", diff)
			}
			got, err := proof.Verify(s.Root(), key(tc.ask))
			if diff := cmp.Diff(m[key(tc.ask)], got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestDishonestMaps has what a proof cannot show: a reader without the ledger is
// deceived by a map that an aggregator made up. Everybody who has the ledger finds
// another root.
func TestDishonestMaps(t *testing.T) {
	const size = 10
	honest := naive{key(1): {1}, key(2): {2, 7}, key(3): {3}, key(4): {4}}
	type leaf struct {
		key     attestation.OutputID
		entries []uint64
	}
	for _, tc := range []struct {
		name   string
		leaves []leaf
		show   []int // positions that are shown to who asks for key 2
		want   []uint64
	}{
		{"omits an entry", []leaf{{key(1), []uint64{1}}, {key(2), []uint64{2}}, {key(3), []uint64{3}}, {key(4), []uint64{4}}}, []int{1}, []uint64{2}},
		{"omits an output", []leaf{{key(1), []uint64{1}}, {key(3), []uint64{3}}, {key(4), []uint64{4}}}, []int{0, 1}, nil},
		{"unsorted leaves", []leaf{{key(1), []uint64{1}}, {key(3), []uint64{3}}, {key(2), []uint64{2, 7}}, {key(4), []uint64{4}}}, []int{0, 1}, nil},
		{"duplicate key", []leaf{{key(1), []uint64{1}}, {key(2), []uint64{2}}, {key(2), []uint64{7}}, {key(3), []uint64{3}}, {key(4), []uint64{4}}}, []int{1}, []uint64{2}},
		{"makes an entry up", []leaf{{key(1), []uint64{1}}, {key(2), []uint64{2, 4, 7}}, {key(3), []uint64{3}}, {key(4), []uint64{4}}}, []int{1}, []uint64{2, 4, 7}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var encoded [][]byte
			for _, l := range tc.leaves {
				encoded = append(encoded, naiveLeaf(l.key, l.entries...))
			}
			root := Root{Size: size, Leaves: uint64(len(encoded)), Hash: naiveHash(encoded)}
			var proof Proof
			for _, i := range tc.show {
				proof.Leaves = append(proof.Leaves, Leaf{uint64(i), tc.leaves[i].key, tc.leaves[i].entries, naivePath(i, encoded)})
			}
			got, err := proof.Verify(root, key(2))
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Fatalf("the proof deceives nobody: %v (-want +got):\n%s", err, diff)
			}
			if replayed, err := Sum(honest.pairs(), size); err != nil || replayed == root {
				t.Errorf("replay did not tell the roots apart: %v", err)
			}
		})
	}
}

func TestProofJSON(t *testing.T) {
	proof := &Proof{[]Leaf{{5, key(0xab), []uint64{1, 20}, []tlog.Hash{sha256.Sum256(nil)}}}}
	want := `{"leaves":[{"position":5,"key":"00000000000000000000000000000000000000ab","entries":[1,20],"path":["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]}]}`
	data, err := proof.Encode()
	if err != nil || string(data) != want {
		t.Fatalf("%s, %v, want %s", data, err, want)
	}
	got, err := ParseProof([]byte(want))
	if diff := cmp.Diff(proof, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if empty, err := (&Proof{}).Encode(); err != nil || string(empty) != `{"leaves":[]}` {
		t.Errorf("empty proof: %s, %v", empty, err)
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"short key":      strings.Replace(want, "00ab", "ab", 1),
		"long key":       strings.Replace(want, "00ab", "0000ab", 1),
		"short hash":     strings.Replace(want, "SuFU=", "Su==", 1),
		"negative":       strings.Replace(want, "[1,", "[-1,", 1),
		"fraction":       strings.Replace(want, "[1,", "[1.5,", 1),
		"too large":      strings.Replace(want, "[1,", "[18446744073709551616,", 1),
		"unknown member": strings.Replace(want, "{", `{"x":1,`, 1),
		"member twice":   strings.Replace(want, "{", `{"leaves":[],`, 1),
		"cut off":        want[:len(want)-1],
		"more after it":  want + want,
		"too long":       strings.Replace(want, "{", "{"+strings.Repeat(" ", MaxProofSize), 1),
	} {
		if p, err := ParseProof([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %v", name, p)
		}
	}
}

// TestProofTooLarge: what no reader would accept is refused where it is made.
func TestProofTooLarge(t *testing.T) {
	proof := &Proof{[]Leaf{{Entries: slices.Repeat([]uint64{1 << 40}, MaxProofSize/13)}}}
	if data, err := proof.Encode(); err == nil {
		t.Errorf("made a proof of %d bytes", len(data))
	}
}

func FuzzParseProof(f *testing.F) {
	m, size := small(5)
	s := mustBuild(f, m.pairs(), size)
	for n := range 12 {
		data, err := mustProve(f, s, key(n)).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(n))
	}
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		proof, err := ParseProof(data)
		if err != nil {
			return
		}
		got, err := proof.Verify(s.Root(), key(int(n)))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			return
		}
		if diff := cmp.Diff(m[key(int(n))], got); diff != "" {
			t.Errorf("a proof of key %d shows what is not in the map (-want +got):\n%s", n, diff)
		}
	})
}
