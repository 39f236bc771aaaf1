package verify

import (
	"context"

	"repronet/divergence"
	"repronet/evidence/kinds"
	"repronet/ledger"
)

// openEvidence opens third-party evidence under the pins.
func (c *collector) openEvidence(ctx context.Context, o *opened, entry *ledger.Entry) (err error) {
	o.evidence, err = c.keys.Open(ctx, entry.Kind, entry.Body, entry.ReceivedAt)
	if kinds.Malformed(err) {
		o.evidence = &kinds.Evidence{} // moves nothing, for any reader
		return nil
	}
	if err != nil {
		return err
	}
	for i, row := range o.evidence.Rows {
		o.subjects[row.Output] = i
	}
	return nil
}

// takeEvidence adds what a document says of an output in the names of pinned
// builders. Signatures of others prove nothing to the user.
func (c *collector) takeEvidence(said *opened, output *collected) {
	i, ok := said.subjects[output.evidence.Output]
	if !ok || said.evidence.Ecosystem != output.evidence.Ecosystem {
		return // another output with the same prefix
	}
	row := said.evidence.Rows[i]
	for _, s := range said.evidence.Counted() {
		number := c.roster.numbers[s.Builder]
		claim := Claim{
			Index: said.index, ReceivedAt: said.receivedAt, Builder: s.Builder, Operator: c.roster.builders[number].Operator,
			DigestKind: said.evidence.DigestKind, Standing: Counts, Document: true, SignedAt: s.SignedAt,
		}
		if _, counted := c.roster.Counts(number, said.index); !counted {
			claim.Standing, claim.RevokedAt = Revoked, c.roster.revokedAt[number]
		}
		for _, claim.Digest = range row.Digests {
			output.evidence.Claims = append(output.evidence.Claims, claim)
			output.claims.Add(divergence.Claim{
				Builder: number, Digest: claim.Digest, Index: said.index,
				Document: true, SignedAt: s.Time(), Ambiguous: len(row.Digests) > 1,
			})
		}
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
