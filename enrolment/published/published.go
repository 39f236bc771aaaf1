// Package published writes the fold of the enrolments as the API publishes it. The
// aggregator answers with it, and who checks an aggregator compares its own fold in
// the same form. It trusts the roster that it is given.
package published

import (
	"repronet.dev/api"
	"repronet.dev/enrolment"
)

// Builders returns the builders in the order of their numbers.
func Builders(r *enrolment.Roster) []api.RosterBuilder {
	builders := []api.RosterBuilder{}
	for b := range r.All() {
		builder := api.RosterBuilder{
			ID: b.ID, NixName: b.NixName, Operator: b.Operator, Tier: api.Tier(b.Tier),
			NotBefore: b.Key.NotBefore, NotAfter: b.Key.NotAfter, EnrolledAt: b.EnrolledAt,
			Replaces: b.Replaces,
		}
		if !b.Endorsement.IsZero() {
			builder.Endorsement = b.Endorsement.Hex()
		}
		if b.Key.PublicKey != nil {
			builder.PublicKey = b.Key.DER()
		}
		for _, c := range b.Certificates {
			builder.OpenPGP = append(builder.OpenPGP, api.RosterCertificate{
				Fingerprint: string(c.Fingerprint), Project: c.Project, Certificate: c.Certificate.Hex(),
			})
		}
		if b.Keyless != nil {
			builder.Keyless = &api.RosterIdentity{
				Issuer: b.Keyless.Rule.Issuer, Subject: b.Keyless.Rule.Subject, Repository: b.Keyless.Rule.Repository,
				TrustedRoot: b.Keyless.TrustedRoot.Hex(),
			}
		}
		if b.Revoked {
			builder.RevokedFrom, builder.RevokedAt = &b.RevokedFrom, &b.RevokedAt
		}
		builders = append(builders, builder)
	}
	return builders
}
