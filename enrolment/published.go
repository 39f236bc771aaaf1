package enrolment

import "repronet/internal/wire"

// Published returns the roster as an aggregator publishes it, in the order of the
// numbers.
func (r *Roster) Published() []wire.Builder {
	builders := []wire.Builder{}
	for b := range r.All() {
		builder := wire.Builder{
			ID: b.ID, NixName: b.NixName, Operator: b.Operator, Tier: string(b.Tier),
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
			builder.OpenPGP = append(builder.OpenPGP, wire.Certificate{
				Fingerprint: string(c.Fingerprint), Project: c.Project, Certificate: c.Certificate.Hex(),
			})
		}
		if b.Keyless != nil {
			builder.Keyless = &wire.Keyless{
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
