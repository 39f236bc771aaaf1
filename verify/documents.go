package verify

import (
	"repronet.dev/divergence"
	"repronet.dev/reading"
)

// takeDocument adds what a document says of an output in the names of pinned
// builders. Signatures of others prove nothing to the user.
func (c *collector) takeDocument(said *opened, d *reading.Document, i int, output *collected) {
	for _, s := range d.Counted() {
		claim := c.counted(said, s.Number)
		claim.DigestKind, claim.Document, claim.SignedAt = d.DigestKind, true, s.SignedAt
		for _, claim.Digest = range d.Rows[i].Digests {
			output.evidence.Claims = append(output.evidence.Claims, claim)
		}
	}
	for c := range d.ClaimsOn(i) {
		output.claims.Add(c.At(said.index))
	}
}

// weigh says of documents' claims whether others took their place.
func (o *collected) weigh(r *roster) {
	for weighed, standing := range o.claims.Weigh(r) {
		if !weighed.Document || standing != divergence.Superseded && standing != divergence.AmbiguousName {
			continue
		}
		for i := range o.evidence.Claims {
			claim := &o.evidence.Claims[i]
			signed := uint64(max(1, claim.SignedAt.Unix()))
			if !claim.Document || claim.Standing != Counts || claim.SignedAt.IsZero() || signed != weighed.SignedAt ||
				claim.Digest != weighed.Digest || r.numbers[claim.Builder] != weighed.Builder {
				continue
			}
			claim.Standing = Superseded
			if standing == divergence.AmbiguousName {
				claim.Standing = Ambiguous
			}
		}
	}
}
