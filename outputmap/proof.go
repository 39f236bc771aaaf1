package outputmap

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
)

// ErrInvalid is wrapped by the errors of [Proof.Verify]: the proof does not show
// what was asked for.
var ErrInvalid = errors.New("map proof is invalid")

// A Proof shows which entries a map lists under one key: with the key's leaf, or
// with those between which it would be.
type Proof struct {
	Leaves []Leaf `json:"leaves"`
}

// A Leaf is one of a map's leaves, and its place in the tree.
type Leaf struct {
	Position uint64               `json:"position"` // among the leaves, from 0
	Key      attestation.OutputID `json:"key"`      // in hexadecimal
	Entries  []uint64             `json:"entries"`  // ledger indices, ascending
	Path     []tlog.Hash          `json:"path"`     // RFC 6962 audit path, leaf to root; base 64 in JSON
}

// MaxProofSize bounds a proof in bytes of JSON: room for some 900,000 entries
// about one output.
const MaxProofSize = 8 << 20

// maxPath is the longest audit path in a tree of maxNumber leaves.
const maxPath = 53

// Encode returns the proof as JSON.
func (p *Proof) Encode() ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding map proof: %w", err)
	}
	if len(data) > MaxProofSize {
		return nil, fmt.Errorf("encoding map proof: %d bytes, at most %d are accepted: who asks has to read the ledger", len(data), MaxProofSize)
	}
	return data, nil
}

// ParseProof reads a proof. What it says is to be believed only as far as
// [Proof.Verify] goes.
func ParseProof(data []byte) (*Proof, error) {
	if len(data) > MaxProofSize {
		return nil, fmt.Errorf("map proof of %d bytes: at most %d are accepted", len(data), MaxProofSize)
	}
	var p Proof
	if err := attestation.DecodeStrict(data, &p); err != nil {
		return nil, fmt.Errorf("parsing map proof: %w", err)
	}
	return &p, nil
}

// Verify returns the indices of all entries before root.Size that are about the
// key; none, without an error, if the proof shows that there are none. An error
// says nothing about the map.
func (p *Proof) Verify(root Root, key attestation.OutputID) ([]uint64, error) {
	indices, err := p.verify(root, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return indices, nil
}

func (p *Proof) verify(root Root, key attestation.OutputID) ([]uint64, error) {
	if err := root.Validate(); err != nil {
		return nil, err
	}
	for i := range p.Leaves {
		if i == 2 {
			return nil, fmt.Errorf("it has %d leaves, at most 2 are of use", len(p.Leaves))
		}
		if err := p.Leaves[i].check(root); err != nil {
			return nil, fmt.Errorf("leaf %d: %w", i, err)
		}
	}
	switch len(p.Leaves) {
	case 0:
		if root.Leaves > 0 {
			return nil, fmt.Errorf("it has no leaf, the map has %d", root.Leaves)
		}
		return nil, nil
	case 1:
		leaf := p.Leaves[0]
		switch order := compareKeys(key, leaf.Key); {
		case order == 0:
			return leaf.Entries, nil
		case order < 0 && leaf.Position == 0, order > 0 && leaf.Position == root.Leaves-1:
			return nil, nil
		}
		return nil, fmt.Errorf("its leaf is neither that of %x nor at the map's end before it", key)
	default:
		before, after := p.Leaves[0], p.Leaves[1]
		switch {
		case after.Position != before.Position+1:
			return nil, fmt.Errorf("the leaves at %d and %d are not neighbours", before.Position, after.Position)
		case compareKeys(before.Key, key) >= 0 || compareKeys(key, after.Key) >= 0:
			return nil, fmt.Errorf("%x is not between its leaves", key)
		}
		return nil, nil
	}
}

// check reports whether the leaf is at its place in the tree.
func (l *Leaf) check(root Root) error {
	leaf, err := encodeLeaf(l.Key, l.Entries)
	if err != nil {
		return err
	}
	switch {
	case l.Entries[len(l.Entries)-1] >= root.Size:
		return fmt.Errorf("it lists entry %d, and the map is that of the first %d", l.Entries[len(l.Entries)-1], root.Size)
	case l.Position >= root.Leaves:
		return fmt.Errorf("it is at %d in a map of %d leaves", l.Position, root.Leaves)
	case len(l.Path) > maxPath:
		return fmt.Errorf("a path of %d hashes is longer than any", len(l.Path))
	}
	if err := tlog.CheckRecord(l.Path, int64(root.Leaves), root.Hash, int64(l.Position), tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("it is not in the map at %d: %w", l.Position, err)
	}
	return nil
}
