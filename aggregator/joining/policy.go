package joining

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"repronet.dev/enrolment"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// Policy says whose Sigstore identities are admitted. The zero value admits
// nobody.
type Policy struct {
	Root  *sigstore.TrustedRoot // says which certificates are real; nil: none is
	Rules []signing.IdentityRule
}

// admits reports whether a rule is about the identity.
func (p *Policy) admits(who signing.Identity) bool {
	for _, rule := range p.Rules {
		if rule.Matches(who) {
			return true
		}
	}
	return false
}

// identified enrols a key whose request an admitted identity signed, and reports
// whether it did.
func (j *Joining) identified(ctx context.Context, r *enrolment.Request) (bool, error) {
	if j.config.Policy.Root == nil || !r.HasIdentity() {
		return false, nil
	}
	who, err := r.Identity(j.config.Policy.Root)
	if err != nil {
		return false, err
	}
	if !j.config.Policy.admits(who) {
		return false, nil
	}
	// A person decides about an operator that was revoked.
	operator := j.pseudonym(who)
	if b, known := j.roster.Keyless(who); known {
		if b.Revoked {
			return false, nil
		}
		operator = b.Operator // an identity that signs without a key is the same operator with one
	}
	if !j.welcome(operator) {
		return false, nil
	}
	if err := j.room(operator); err != nil {
		return false, err
	}
	tier, _ := j.tier(operator)
	return true, j.enrol(ctx, r, &enrolment.Enrolment{Operator: operator, Tier: tier})
}

// pseudonym names the operator behind an identity: the same for all its keys, and
// without the secret its holder cannot be found.
func (j *Joining) pseudonym(who signing.Identity) string {
	mac := hmac.New(sha256.New, j.secret)
	mac.Write([]byte(who.Issuer + "\x00" + who.Subject))
	return "id-" + strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)[:15]))
}

// welcome reports whether an operator is new or has a key that is not revoked.
func (j *Joining) welcome(operator string) bool {
	known := false
	for b := range j.roster.All() {
		if b.Operator == operator {
			if !b.Revoked {
				return true
			}
			known = true
		}
	}
	return !known
}

// identity tells who a request's Sigstore identity is, for the person who
// decides; empty where it has none that can be checked.
func (j *Joining) identity(r *enrolment.Request) string {
	if j.config.Policy.Root == nil || !r.HasIdentity() {
		return ""
	}
	who, err := r.Identity(j.config.Policy.Root)
	if err != nil {
		return ""
	}
	return who.String()
}
