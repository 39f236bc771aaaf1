package evidence

import (
	"bytes"
	"slices"
	"time"

	"repronet/attestation"
)

// A Position is what one builder's documents say of one output: what the
// latest-signed of them says. Documents have no signed names and no order but
// the signers' own clocks, so each one replaces what earlier-signed documents
// said about the outputs that it names, and two signed in the same second both
// stand. The order of [Position.Add] does not matter. The zero value has none.
type Position struct {
	SignedAt time.Time // as the signer asserts
	// Ambiguous: a document of SignedAt lists the output with several digests.
	// It says nothing then, and is shown as what it is.
	Ambiguous bool
	Digests   []attestation.Digest // sorted, each once
}

// Add takes in what a document signed at signedAt says of the output: one
// digest, or several that make it ambiguous. It reports whether that changed the
// position.
func (p *Position) Add(signedAt time.Time, digests ...attestation.Digest) bool {
	switch {
	case len(digests) == 0 || signedAt.Before(p.SignedAt):
		return false
	case signedAt.After(p.SignedAt) || len(p.Digests) == 0:
		*p = Position{SignedAt: signedAt}
	}
	changed := false
	for _, d := range digests {
		i, found := slices.BinarySearchFunc(p.Digests, d, compare)
		if !found {
			p.Digests = slices.Insert(p.Digests, i, d)
			changed = true
		}
	}
	if len(digests) > 1 && !p.Ambiguous {
		p.Ambiguous, changed = true, true
	}
	return changed
}

// Judged returns the digests that move a verdict: none of an ambiguous position.
func (p *Position) Judged() []attestation.Digest {
	if p.Ambiguous {
		return nil
	}
	return p.Digests
}

func compare(a, b attestation.Digest) int { return bytes.Compare(a[:], b[:]) }
