package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// Keyless is a pinned rule for Sigstore identities, and what their certificates are
// checked against.
type Keyless struct {
	signing.IdentityRule
	TrustedRoot []byte `json:"trustedRoot"` // trusted_root.json; base 64 in JSON
}

// validate checks that the rule is the builder's.
func (k *Keyless) validate(id signing.BuilderID) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if builder := enrolment.KeylessBuilder(k.IdentityRule); builder != id {
		return fmt.Errorf("the identity is that of builder %s", builder)
	}
	_, err := sigstore.ParseTrustedRoot(k.TrustedRoot)
	return err
}

// Same reports whether both are no rule, or the same one under the same trusted root.
func (k *Keyless) Same(other *Keyless) bool {
	if k == nil || other == nil {
		return k == other
	}
	return k.IdentityRule == other.IdentityRule && bytes.Equal(k.TrustedRoot, other.TrustedRoot)
}

// enrolled returns what enrols the identity.
func (k *Keyless) enrolled() *enrolment.Keyless {
	return &enrolment.Keyless{Rule: k.IdentityRule, TrustedRoot: sha256.Sum256(k.TrustedRoot)}
}

// keyless returns a builder's rule with its trusted root, which is an attachment to
// the ledger.
func (a *Aggregator) keyless(ctx context.Context, k *api.RosterIdentity) (*Keyless, error) {
	sum, err := attestation.ParseDigest(k.TrustedRoot)
	if err != nil {
		return nil, err
	}
	text, err := ledger.FetchAttachment(ctx, a.Log(), ledger.AttachmentID(sum))
	if err != nil {
		return nil, fmt.Errorf("fetching the trusted root: %w", err)
	}
	rule := signing.IdentityRule{Issuer: k.Issuer, Subject: k.Subject, Repository: k.Repository}
	return &Keyless{rule, text}, nil
}

// refuseKeyless says whose a statement would be that did not verify. That is no
// forgery by the aggregator: the trusted root may have been renewed since it was
// pinned.
func (c *collector) refuseKeyless(o *opened) {
	if b, pinned := c.roster.Keyless(o.named.Identity); pinned {
		o.named.Builder, o.err = b.ID, fmt.Errorf("%w: %w", signing.ErrKeyNotValid, o.err)
	}
}

// Keyless implements [reading.Roster]: the first pinned builder whose rule matches.
func (r *roster) Keyless(who signing.Identity) (enrolment.Builder, bool) {
	for i, k := range r.keyless {
		if k != nil && k.Rule.Matches(who) {
			return enrolment.Builder{ID: r.builders[i].ID, Number: uint32(i), Key: r.keys[i], Keyless: k}, true
		}
	}
	return enrolment.Builder{}, false
}
