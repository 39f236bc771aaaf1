package outputmap

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// A Bucket shows all that a map lists under the keys with one prefix: their leaves, with
// the leaf before and the leaf after them, in the order of the map. It says the same
// whichever of its keys is meant, also one that the map does not have.
type Bucket struct {
	Leaves []Leaf `json:"leaves"`
}

// Bounds of a bucket.
const (
	maxBucketLeaves  = 4096
	maxBucketEntries = 100_000 // in all of its lists
)

// ErrBucket is wrapped where a bucket is too large to be proven at once.
var ErrBucket = errors.New("the bucket is too large: ask with a longer prefix, or for one output")

// Encode returns the bucket as JSON.
func (b *Bucket) Encode() ([]byte, error) {
	data, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding a bucket of the map: %w", err)
	}
	if len(data) > MaxProofSize {
		return nil, fmt.Errorf("encoding a bucket of the map: %d bytes, at most %d are accepted: %w", len(data), MaxProofSize, ErrBucket)
	}
	return data, nil
}

// ParseBucket reads a bucket. What it says is to be believed only as far as
// [Bucket.Verify] goes.
func ParseBucket(data []byte) (*Bucket, error) {
	if len(data) > MaxProofSize {
		return nil, fmt.Errorf("a bucket of the map of %d bytes: at most %d are accepted", len(data), MaxProofSize)
	}
	var b Bucket
	if err := attestation.DecodeStrict(data, &b); err != nil {
		return nil, fmt.Errorf("parsing a bucket of the map: %w", err)
	}
	return &b, nil
}

// Verify returns the leaves of all keys with the prefix, by key; none, without an error, if
// the bucket shows that there are none. An error says nothing about the map.
func (b *Bucket) Verify(root Root, prefix attestation.Prefix) ([]Leaf, error) {
	leaves, err := b.verify(root, prefix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return leaves, nil
}

func (b *Bucket) verify(root Root, prefix attestation.Prefix) ([]Leaf, error) {
	if err := root.Validate(); err != nil {
		return nil, err
	}
	n := len(b.Leaves)
	switch {
	case n > maxBucketLeaves+2:
		return nil, fmt.Errorf("it has %d leaves, and no bucket has more than %d", n, maxBucketLeaves)
	case n == 0 && root.Leaves > 0:
		return nil, fmt.Errorf("it has no leaf, the map has %d", root.Leaves)
	case n == 0:
		return nil, nil
	}
	for i := range b.Leaves {
		leaf := &b.Leaves[i]
		if err := leaf.check(root); err != nil {
			return nil, fmt.Errorf("leaf %d: %w", i, err)
		}
		if i > 0 && (leaf.Position != b.Leaves[i-1].Position+1 || compareKeys(b.Leaves[i-1].Key, leaf.Key) >= 0) {
			return nil, fmt.Errorf("leaf %d does not follow the one before it", i)
		}
	}
	inside := b.Leaves
	if compareKeys(inside[0].Key, prefix.First()) < 0 {
		inside = inside[1:]
	} else if inside[0].Position > 0 {
		return nil, fmt.Errorf("no leaf before those with %s is shown", prefix)
	}
	if last := b.Leaves[n-1]; compareKeys(last.Key, prefix.Last()) > 0 && len(inside) > 0 {
		inside = inside[:len(inside)-1]
	} else if last.Position != root.Leaves-1 {
		return nil, fmt.Errorf("no leaf after those with %s is shown", prefix)
	}
	for i := range inside {
		if !prefix.Has(inside[i].Key) {
			return nil, fmt.Errorf("%x does not begin with %s", inside[i].Key, prefix)
		}
	}
	return inside, nil
}

// ProveBucket returns the leaves of all keys with the prefix, and those around them.
func (s *Snapshot) ProveBucket(prefix attestation.Prefix) (*Bucket, error) {
	bucket, err := s.proveBucket(prefix)
	if err != nil {
		return nil, fmt.Errorf("proving the entries of %s…: %w", prefix, err)
	}
	return bucket, nil
}

func (s *Snapshot) proveBucket(prefix attestation.Prefix) (*Bucket, error) {
	v := s.view()
	from, _, err := v.position(prefix.First())
	if err != nil {
		return nil, err
	}
	to, found, err := v.position(prefix.Last())
	if err != nil {
		return nil, err
	}
	if found {
		to++
	}
	if to-from > maxBucketLeaves {
		return nil, fmt.Errorf("it has %d outputs: %w", to-from, ErrBucket)
	}
	proof, entries := &Proof{}, 0
	for position := from - min(from, 1); position < min(to+1, s.root.Leaves); position++ {
		if err := v.add(proof, position); err != nil {
			return nil, err
		}
		if entries += len(proof.Leaves[len(proof.Leaves)-1].Entries); entries > maxBucketEntries {
			return nil, fmt.Errorf("it lists more than %d entries: %w", maxBucketEntries, ErrBucket)
		}
	}
	return &Bucket{proof.Leaves}, nil
}
