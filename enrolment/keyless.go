package enrolment

import (
	"errors"
	"fmt"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// Keyless says that the identity that a Sigstore certificate names, such as a CI job, is the
// builder. A later enrolment of the same rule brings another trusted root: it has
// to name all that the earlier one did, or statements made under that cannot be
// checked by a reader that pins the newest.
type Keyless struct {
	Rule signing.IdentityRule `json:"rule"`
	// TrustedRoot is the attachment with the deployment's trusted_root.json.
	TrustedRoot attestation.Digest `json:"trustedRoot"`
}

// KeylessBuilder returns the builder of a rule: another rule is another builder.
func KeylessBuilder(rule signing.IdentityRule) signing.BuilderID {
	// No part has a line's end, so that no two rules are spelled alike.
	return signing.NewBuilderID("sigstore:" + rule.Issuer + "\n" + rule.Subject + "\n" + rule.Repository)
}

func (e *Enrolment) validateKeyless() error {
	if err := e.Keyless.Rule.Validate(); err != nil {
		return err
	}
	// Entries stay for ever, so they name no person: an e-mail address is not a URI.
	if !strings.HasPrefix(strings.TrimPrefix(e.Keyless.Rule.Subject, "^"), "https://") {
		return fmt.Errorf("subject %.100q is not that of a CI job, which begins with https://: a person enrols a key, with 'repronet-reporter enrol --identity'", e.Keyless.Rule.Subject)
	}
	if builder := KeylessBuilder(e.Keyless.Rule); builder != e.Builder {
		return fmt.Errorf("the identity belongs to builder %s, not %.40q", builder, e.Builder)
	}
	if e.Keyless.TrustedRoot.IsZero() {
		return errors.New("names no trusted root")
	}
	if e.NixName != "" {
		return errors.New("an identity signs no narinfo")
	}
	return e.validatePeriod()
}

func (e *Enrolment) validatePeriod() error {
	if !e.NotBefore.IsZero() && !e.NotAfter.IsZero() && !e.NotBefore.Before(e.NotAfter) {
		return errors.New("notBefore is not before notAfter")
	}
	return nil
}

// keyless is a builder that an identity may be.
type keyless struct {
	builder uint32
	matches func(signing.Identity) bool
}

// Keyless returns the builder of an identity: of those whose rule matches and that
// are not revoked the one enrolled first. Where all are revoked, it returns the
// first of them.
func (r *Roster) Keyless(who signing.Identity) (Builder, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found *Builder
	for _, k := range r.keyless { // in the order of their numbers
		b := &r.builders[k.builder]
		if (found != nil && b.Revoked) || !k.matches(who) {
			continue
		}
		found = b
		if !b.Revoked {
			break
		}
	}
	if found == nil {
		return Builder{}, false
	}
	return *found, true
}
