package enrolment

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// An Erasure is the body of an entry of kind ledger.Erased: an attachment that
// enrolments name, such as an OpenPGP certificate with a person's name and
// address, may be deleted.
//
// It holds for the whole ledger, entries before it included: for every reader the
// attachment was never there, so that who has its bytes and who has not come to
// the same end. A certificate that was erased makes no signature count. Attachments of
// package sets hold nothing about people: an entry that names one has no effect.
type Erasure struct {
	Attachment attestation.Digest `json:"attachment"` // SHA-256
	Reason     string             `json:"reason"`
}

// Encode returns the entry's body.
func (e *Erasure) Encode() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("encoding erasure: %w", err)
	}
	return json.Marshal(e, json.Deterministic(true))
}

func (e *Erasure) validate() error {
	if e.Attachment.IsZero() {
		return errors.New("names no attachment")
	}
	return validateReason(e.Reason)
}

// ParseErasure reads an entry's body.
func ParseErasure(body []byte) (*Erasure, error) {
	var e Erasure
	if err := attestation.DecodeStrict(body, &e); err != nil {
		return nil, fmt.Errorf("parsing erasure: %w", err)
	}
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("parsing erasure: %w", err)
	}
	return &e, nil
}

// Naming says what the enrolments name an attachment as.
type Naming uint8

// The namings.
const (
	Unnamed          Naming = iota
	NamedOtherwise          // it decides nothing
	NamedCertificate        // it decides whose evidence counts
)

// Names returns what the enrolments so far name an attachment as.
func (r *Roster) Names(sum attestation.Digest) Naming {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.named[sum]
}

// name notes the attachments of an enrolment that holds. The caller holds mu.
func (r *Roster) name(e *Enrolment) {
	if !e.Endorsement.IsZero() {
		r.named[e.Endorsement] = max(r.named[e.Endorsement], NamedOtherwise)
	}
	if e.OpenPGP != nil {
		r.named[e.OpenPGP.Certificate] = NamedCertificate
	}
}

// validateReason reports why text cannot be the reason that an entry gives.
func validateReason(text string) error {
	if len(text) > 200 || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return errors.New("reason is not one line of at most 200 bytes of printable text")
	}
	return nil
}
