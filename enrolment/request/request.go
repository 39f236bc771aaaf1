// Package request holds what a builder sends to be enrolled: a signed request,
// and the document that carries it with the signatures of others.
//
// The request is an in-toto statement of its own predicate type, so that it can
// be taken for no claim about builds and no claim for it, and so that cosign and
// other tools of the field can sign it. It names the ledger it is meant for (its
// origin), the key, and the time: sent to another aggregator, or much later, it
// says nothing.
//
// This package writes and reads requests; package enrolment checks their
// signatures.
package request

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// PredicateType is that of a request's statement.
const PredicateType = "https://repronet.dev/enrolment/v1"

// Limits.
const (
	MaxSize    = 64 << 10 // of a document, in bytes
	MaxContact = 200      // bytes
	maxOrigin  = 200      // bytes

	// MaxAge is how long a request can be sent after it was made, and Skew how
	// far the clock of its maker may be ahead.
	MaxAge = 6 * time.Hour
	Skew   = 15 * time.Minute
)

// A Request asks for one key to be enrolled.
type Request struct {
	Origin    string             // of the ledger
	PublicKey *signing.PublicKey // that wants to be enrolled, and that signs
	Operator  string             // wanted name; may be empty
	Contact   string             // how a person can be reached; may be empty; published
	Created   time.Time          // in whole seconds
	// Replaces is the builder whose key endorses this one; may be empty.
	Replaces signing.BuilderID
	// RevokeReplaced asks for that builder to be revoked at the same time.
	RevokeReplaced bool
}

// statement is the JSON form, member for member.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"` // the builder's ID
	Digest map[string]string `json:"digest"`
}

type predicate struct {
	Origin         string            `json:"origin"`
	PublicKey      []byte            `json:"publicKey"` // PKIX, DER; base 64
	Operator       string            `json:"operator,omitempty"`
	Contact        string            `json:"contact,omitempty"`
	CreatedOn      time.Time         `json:"createdOn"`
	Replaces       signing.BuilderID `json:"replaces,omitempty"`
	RevokeReplaced bool              `json:"revokeReplaced,omitzero"`
}

// Encode returns the statement that is signed: the same bytes for the same
// request.
func (r *Request) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("encoding enrolment request: %w", err)
	}
	der := r.PublicKey.DER()
	sum := attestation.Digest(sha256.Sum256(der))
	return json.Marshal(statement{
		Type: attestation.StatementType, PredicateType: PredicateType,
		Subject: []subject{{string(r.PublicKey.Builder()), map[string]string{"sha256": sum.Hex()}}},
		Predicate: predicate{
			r.Origin, der, r.Operator, r.Contact, r.Created.UTC(), r.Replaces, r.RevokeReplaced,
		},
	}, json.Deterministic(true))
}

// Parse reads a statement. It accepts the bytes that [Request.Encode] writes and
// no others, so that no two readers can differ.
func Parse(payload []byte) (*Request, error) {
	var s statement
	if err := attestation.DecodeStrict(payload, &s); err != nil {
		return nil, fmt.Errorf("parsing enrolment request: %w", err)
	}
	if s.PredicateType != PredicateType {
		return nil, fmt.Errorf("parsing enrolment request: predicateType is %.80q, want %q", s.PredicateType, PredicateType)
	}
	p := &s.Predicate
	key, err := signing.ParsePublicKeyDER(p.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("parsing enrolment request: %w", err)
	}
	r := &Request{
		Origin: p.Origin, PublicKey: key, Operator: p.Operator, Contact: p.Contact,
		Created: p.CreatedOn, Replaces: p.Replaces, RevokeReplaced: p.RevokeReplaced,
	}
	again, err := r.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, payload) {
		return nil, errors.New("parsing enrolment request: it is not spelled as 'repronet-reporter enrol' spells it")
	}
	return r, nil
}

func (r *Request) validate() error {
	if r.Origin == "" || len(r.Origin) > maxOrigin {
		return errors.New("origin does not name a ledger")
	}
	if r.PublicKey == nil {
		return errors.New("no public key is given")
	}
	if r.Operator != "" {
		if err := ValidateOperator(r.Operator); err != nil {
			return err
		}
	}
	if !utf8.ValidString(r.Contact) || len(r.Contact) > MaxContact || !printable(r.Contact) {
		return fmt.Errorf("contact is not one line of at most %d bytes of printable text", MaxContact)
	}
	if y := r.Created.UTC().Year(); y < 1990 || y > 2200 || !r.Created.Equal(r.Created.Truncate(time.Second)) {
		return errors.New("createdOn is not a time in whole seconds")
	}
	if r.Replaces == "" {
		if r.RevokeReplaced {
			return errors.New("revokeReplaced needs replaces")
		}
		return nil
	}
	if _, err := signing.ParseBuilderID(string(r.Replaces)); err != nil {
		return fmt.Errorf("replaces: %w", err)
	}
	if r.Replaces == r.PublicKey.Builder() {
		return errors.New("replaces names the key itself")
	}
	return nil
}

func printable(s string) bool {
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// CheckFresh reports a request that was not made just before now.
func (r *Request) CheckFresh(now time.Time) error {
	switch at := r.Created.UTC().Format(time.RFC3339); {
	case r.Created.After(now.Add(Skew)):
		return fmt.Errorf("the request was made on %s, which is in the future: check this machine's clock", at)
	case r.Created.Before(now.Add(-MaxAge)):
		return fmt.Errorf("the request was made on %s, more than %d hours ago: make a new one", at, int(MaxAge.Hours()))
	}
	return nil
}

var operatorPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ValidateOperator reports whether name can name an operator.
func ValidateOperator(name string) error {
	if !operatorPattern.MatchString(name) {
		return fmt.Errorf("operator %.60q is not 1 to 40 characters of a-z, 0-9 and -, beginning with a letter or digit", name)
	}
	return nil
}

// A Document is what is sent: Sigstore bundles over the same statement.
type Document struct {
	Request     jsontext.Value `json:"request"`               // by the key that wants to be enrolled
	Endorsement jsontext.Value `json:"endorsement,omitempty"` // by the key that it replaces
	Identity    jsontext.Value `json:"identity,omitempty"`    // by a person's or a job's Sigstore identity
}

// Encode returns the document as JSON.
func (d *Document) Encode() ([]byte, error) { return json.Marshal(d) }

// ParseDocument reads a document of at most [MaxSize] bytes.
func ParseDocument(text []byte) (*Document, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("enrolment request of %d bytes: at most %d are accepted", len(text), MaxSize)
	}
	var d Document
	if err := attestation.DecodeStrict(text, &d); err != nil {
		return nil, fmt.Errorf("parsing enrolment request: %w", err)
	}
	if d.Request.Kind() != '{' {
		return nil, errors.New("parsing enrolment request: /request is not a bundle")
	}
	return &d, nil
}
