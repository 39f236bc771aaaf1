package query

import (
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/evidence"
	"repronet.dev/signing"
)

// addDocument completes the claim of a third party's document: its kind, when it
// says that it was signed, and whether another took its place. d may be nil, or of
// a statement.
func addDocument(c *dashboard.Claim, seen store.Observation, claims *divergence.Output, d *detail, roster *enrolment.Roster) {
	if d != nil && d.evidence == nil {
		return
	}
	var signedAt uint64
	var expired bool
	if d != nil {
		c.Kind = string(d.evidence.Kind)
		if s := d.signer(signing.BuilderID(c.Builder)); s != nil {
			signedAt, expired = s.Time(), s.State == evidence.ExpiredSince
		}
	}
	for claim, standing := range claims.Weigh(roster) {
		if !claim.Document || claim.Builder != seen.Builder || store.Short(claim.Digest[:]) != seen.Digest ||
			d != nil && claim.SignedAt != signedAt || claim.Index > seen.Index {
			continue
		}
		if claim.SignedAt > 0 {
			c.SignedOn = time.Unix(int64(claim.SignedAt), 0).UTC()
			c.Flags = append(c.Flags, "self-asserted-time")
		}
		switch standing {
		case divergence.Superseded:
			c.Counts, c.Status = false, api.StandingSuperseded
		case divergence.AmbiguousName:
			c.Counts, c.Status = false, api.StandingAmbiguous
		case divergence.Stands, divergence.Uncounted:
		}
		break
	}
	if expired {
		c.Flags = append(c.Flags, "expired-since")
	}
}
