package enrolment

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/enrolment/request"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/signing"
)

// Tier says whether an operator's builders move verdicts.
type Tier string

// The tiers of design: vouched for, or joined by itself.
const (
	Counted Tier = "counted"
	Open    Tier = "open"
)

// An Enrolment is the body of an entry of kind ledger.Enrolment: from this
// entry on, the builder belongs to the operator. It is a public key, an OpenPGP
// certificate or a Sigstore identity. A later one of the same builder may change its tier and validity,
// or bring another certificate, never its operator, and brings no revoked builder
// back: its operator enrols a new key.
type Enrolment struct {
	Builder   signing.BuilderID `json:"builder"`
	PublicKey []byte            `json:"publicKey,omitempty"` // PKIX, DER; base 64 in JSON
	// NixName is the name by which a binary cache signs with the public key,
	// such as cache.nixos.org-1; without one it signs no narinfo.
	NixName   string    `json:"nixName,omitempty"`
	OpenPGP   *OpenPGP  `json:"openpgp,omitempty"`
	Keyless   *Keyless  `json:"keyless,omitempty"`
	Operator  string    `json:"operator"` // pseudonym, see ValidateOperator
	Tier      Tier      `json:"tier"`
	NotBefore time.Time `json:"notBefore,omitzero"` // not of a certificate, which says it itself
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Replaces is the builder of the same operator whose key endorsed this one.
	Replaces signing.BuilderID `json:"replaces,omitempty"`
	// Endorsement is the attachment with the request that led here: what a
	// person said of themselves, and who vouched. It can be erased; nothing that
	// decides verdicts reads it.
	Endorsement attestation.Digest `json:"endorsement,omitzero"`
}

// OpenPGP says that a certificate may sign checksum documents of a project, and
// of no other. Names and addresses of people are in the attachment only.
type OpenPGP struct {
	Fingerprint openpgp.Fingerprint `json:"fingerprint"` // of the primary key
	Project     string              `json:"project"`
	Certificate attestation.Digest  `json:"certificate"` // of the attachment with its packets
}

// A Revocation is the body of an entry of kind ledger.Revocation: statements of
// the builder at ledger index From and later do not count. From 0 takes all of
// them away; a From behind the revocation itself means the revocation's own
// index. Evidence stays in the ledger.
//
// A From before the revocation itself is back-dated: verdicts change at the
// revocation, history before it stays, and every list of builders shows both
// indices.
type Revocation struct {
	Builder signing.BuilderID `json:"builder"`
	From    uint64            `json:"from"`
	Reason  string            `json:"reason"`
}

// FromNow as From stands for the revocation's own index: no entry is as late. It
// is the greatest integer that every JSON reader keeps.
const FromNow uint64 = 1<<53 - 1

// ValidateOperator is [request.ValidateOperator].
func ValidateOperator(name string) error { return request.ValidateOperator(name) }

// Encode returns the entry's body.
func (e *Enrolment) Encode() ([]byte, error) {
	if _, err := e.validate(); err != nil {
		return nil, fmt.Errorf("encoding enrolment: %w", err)
	}
	return json.Marshal(e, json.Deterministic(true))
}

// validate returns the public key, nil of a certificate or an identity.
func (e *Enrolment) validate() (*signing.PublicKey, error) {
	if err := ValidateOperator(e.Operator); err != nil {
		return nil, err
	}
	if e.Tier != Counted && e.Tier != Open {
		return nil, fmt.Errorf("tier %.20q is neither %q nor %q", e.Tier, Counted, Open)
	}
	if e.Replaces != "" {
		if _, err := signing.ParseBuilderID(string(e.Replaces)); err != nil {
			return nil, fmt.Errorf("replaces: %w", err)
		}
		if e.Replaces == e.Builder || len(e.PublicKey) == 0 {
			return nil, errors.New("a key replaces another key, not itself")
		}
	}
	alternatives := 0
	for _, given := range []bool{len(e.PublicKey) > 0, e.OpenPGP != nil, e.Keyless != nil} {
		if given {
			alternatives++
		}
	}
	if alternatives != 1 {
		return nil, errors.New("names not exactly one of publicKey, openpgp and keyless")
	}
	if e.OpenPGP != nil {
		return nil, e.validateOpenPGP()
	}
	if e.Keyless != nil {
		return nil, e.validateKeyless()
	}
	key, err := signing.ParsePublicKeyDER(e.PublicKey)
	if err != nil {
		return nil, err
	}
	if key.Builder() != e.Builder {
		return nil, fmt.Errorf("the key belongs to builder %s, not %.40q", key.Builder(), e.Builder)
	}
	if e.NixName != "" {
		if err := narinfo.ValidateKeyName(e.NixName); err != nil {
			return nil, err
		}
	}
	return key, e.validatePeriod()
}

var fingerprintPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (e *Enrolment) validateOpenPGP() error {
	if !fingerprintPattern.MatchString(string(e.OpenPGP.Fingerprint)) {
		return fmt.Errorf("fingerprint %.70q is not 40 or 64 digits of lower-case hexadecimal", e.OpenPGP.Fingerprint)
	}
	if err := openpgp.ValidateProject(e.OpenPGP.Project); err != nil {
		return err
	}
	if builder := openpgp.BuilderOf(e.OpenPGP.Fingerprint); builder != e.Builder {
		return fmt.Errorf("the certificate belongs to builder %s, not %.40q", builder, e.Builder)
	}
	if e.OpenPGP.Certificate.IsZero() {
		return errors.New("names no certificate")
	}
	if e.NixName != "" || !e.NotBefore.IsZero() || !e.NotAfter.IsZero() {
		return errors.New("a certificate says itself when it is valid, and signs no narinfo")
	}
	return nil
}

// ParseEnrolment reads an entry's body. The key is nil of a certificate or an
// identity.
func ParseEnrolment(body []byte) (*Enrolment, *signing.PublicKey, error) {
	var e Enrolment
	if err := attestation.DecodeStrict(body, &e); err != nil {
		return nil, nil, fmt.Errorf("parsing enrolment: %w", err)
	}
	key, err := e.validate()
	if err != nil {
		return nil, nil, fmt.Errorf("parsing enrolment: %w", err)
	}
	return &e, key, nil
}

// Encode returns the entry's body.
func (r *Revocation) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("encoding revocation: %w", err)
	}
	return json.Marshal(r, json.Deterministic(true))
}

func (r *Revocation) validate() error {
	if _, err := signing.ParseBuilderID(string(r.Builder)); err != nil {
		return err
	}
	return validateReason(r.Reason)
}

// ParseRevocation reads an entry's body.
func ParseRevocation(body []byte) (*Revocation, error) {
	var r Revocation
	if err := attestation.DecodeStrict(body, &r); err != nil {
		return nil, fmt.Errorf("parsing revocation: %w", err)
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("parsing revocation: %w", err)
	}
	return &r, nil
}
