package divergence

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"repronet.dev/attestation"
)

// InputsKey stands for an inputsDigest: its first 8 bytes, big-endian; 0 where
// the builder did not say. It only ever serves to compare claims on one output.
type InputsKey uint64

// NewInputsKey shortens an inputsDigest.
func NewInputsKey(d attestation.Digest) InputsKey {
	return InputsKey(binary.BigEndian.Uint64(d[:8]))
}

// A Claim is one builder's saying that an output had a digest.
type Claim struct {
	Builder uint32 // number in the roster
	Digest  attestation.Digest
	Index   uint64 // ledger index at which the builder first said so
	Inputs  InputsKey
	// Document: a third party's document says so, not a statement.
	Document bool
	// SignedAt is when the document was signed, by its signer's own assertion,
	// in seconds since 1970; 0 where it does not say. See [Output.Weigh].
	SignedAt uint64
	// Ambiguous: the document lists the output with several digests.
	Ambiguous bool
}

// An Output is the state of one output: the claims on it, sorted by digest,
// builder and time of signing, each once. Its zero value has none.
type Output struct {
	Claims []Claim
}

func compareClaims(a, b Claim) int {
	return cmp.Or(
		bytes.Compare(a.Digest[:], b.Digest[:]), cmp.Compare(a.Builder, b.Builder), compareBool(a.Document, b.Document),
		cmp.Compare(a.SignedAt, b.SignedAt), compareBool(a.Ambiguous, b.Ambiguous),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// Add takes a claim in and reports whether it was new. Repeating a claim
// changes nothing: the first index stays.
func (o *Output) Add(c Claim) bool {
	i, found := slices.BinarySearchFunc(o.Claims, c, compareClaims)
	if found {
		return false
	}
	o.Claims = slices.Insert(o.Claims, i, c)
	return true
}

// Withdraw takes a builder's claim of a digest away and reports whether there
// was one. What a document says cannot be withdrawn: a later one replaces it.
func (o *Output) Withdraw(builder uint32, digest attestation.Digest) bool {
	i, found := slices.BinarySearchFunc(o.Claims, Claim{Builder: builder, Digest: digest}, compareClaims)
	if found {
		o.Claims = slices.Delete(o.Claims, i, i+1)
	}
	return found
}

// Append appends the binary form of the state to buf. Claims are grouped by
// digest, then by inputs, because builders that agree agree in both; those of
// documents apart, of which few know their inputs:
//
//	digest (32 bytes) | n groups (uvarint) |
//	  { inputs (8 bytes) | n builders (uvarint) | { builder, index (uvarints) }
//	  | inputs (8 bytes) | 0 (uvarint) | n claims (uvarint)
//	    | { builder, index, 2 × signed at + ambiguous (uvarints) } }
func (o *Output) Append(buf []byte) []byte {
	claims := slices.Clone(o.Claims)
	slices.SortStableFunc(claims, func(a, b Claim) int {
		return cmp.Or(
			bytes.Compare(a.Digest[:], b.Digest[:]), compareBool(a.Document, b.Document),
			cmp.Compare(a.Inputs, b.Inputs), compareClaims(a, b),
		)
	})
	same := func(a, b Claim) bool {
		return a.Document == b.Document && a.Inputs == b.Inputs
	}
	for len(claims) > 0 {
		sameDigest := prefix(claims, func(c Claim) bool { return c.Digest == claims[0].Digest })
		buf = append(buf, claims[0].Digest[:]...)
		groups := 1
		for i := 1; i < len(sameDigest); i++ {
			if !same(sameDigest[i], sameDigest[i-1]) {
				groups++
			}
		}
		buf = binary.AppendUvarint(buf, uint64(groups))
		claims = claims[len(sameDigest):]
		for len(sameDigest) > 0 {
			group := prefix(sameDigest, func(c Claim) bool { return same(c, sameDigest[0]) })
			buf = appendGroup(buf, group)
			sameDigest = sameDigest[len(group):]
		}
	}
	return buf
}

func appendGroup(buf []byte, group []Claim) []byte {
	documents := group[0].Document
	buf = binary.BigEndian.AppendUint64(buf, uint64(group[0].Inputs))
	if documents {
		buf = append(buf, 0)
	}
	buf = binary.AppendUvarint(buf, uint64(len(group)))
	for _, c := range group {
		buf = binary.AppendUvarint(buf, uint64(c.Builder))
		buf = binary.AppendUvarint(buf, c.Index)
		if documents {
			signed := 2 * c.SignedAt
			if c.Ambiguous {
				signed++
			}
			buf = binary.AppendUvarint(buf, signed)
		}
	}
	return buf
}

func prefix(claims []Claim, in func(Claim) bool) []Claim {
	n := 1
	for n < len(claims) && in(claims[n]) {
		n++
	}
	return claims[:n]
}

var errState = errors.New("decoding output state: malformed")

// DecodeOutput reads what [Output.Append] wrote.
func DecodeOutput(data []byte) (*Output, error) {
	d := decoder{data: data}
	o := &Output{}
	for len(d.data) > 0 && !d.failed {
		digest := attestation.Digest(d.bytes(len(attestation.Digest{})))
		for groups := d.count(); groups > 0 && !d.failed; groups-- {
			o.Claims = d.group(o.Claims, digest)
		}
	}
	slices.SortFunc(o.Claims, compareClaims)
	for i := 1; i < len(o.Claims) && !d.failed; i++ {
		d.failed = compareClaims(o.Claims[i-1], o.Claims[i]) == 0
	}
	if d.failed {
		return nil, errState
	}
	return o, nil
}

// decoder reads fields from the front of data until one is missing.
type decoder struct {
	data   []byte
	failed bool
}

var zeros [32]byte

// group reads the claims of one group.
func (d *decoder) group(claims []Claim, digest attestation.Digest) []Claim {
	inputs := InputsKey(binary.BigEndian.Uint64(d.bytes(8)))
	n := d.uvarint()
	documents := n == 0
	if documents {
		n = d.count()
	}
	claims = slices.Grow(claims, int(min(n, uint64(len(d.data))/2))) // a claim takes two bytes at least
	for ; n > 0 && !d.failed; n-- {
		builder := d.uvarint()
		d.failed = d.failed || builder > math.MaxUint32
		c := Claim{Builder: uint32(builder), Digest: digest, Index: d.uvarint(), Inputs: inputs}
		if documents {
			signed := d.uvarint()
			c.Document, c.SignedAt, c.Ambiguous = true, signed/2, signed%2 == 1
			d.failed = d.failed || signed == 1
		}
		claims = append(claims, c)
	}
	return claims
}

func (d *decoder) bytes(n int) []byte {
	if len(d.data) < n {
		d.failed = true
		return zeros[:n]
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

// count reads the size of a list, which is never empty.
func (d *decoder) count() uint64 {
	n := d.uvarint()
	d.failed = d.failed || n == 0
	return n
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.failed = true
		return 0
	}
	d.data = d.data[n:]
	return v
}
