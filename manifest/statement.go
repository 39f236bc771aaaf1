package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// PredicateType is that of the in-toto statement over a manifest.
const PredicateType = "https://repronet.dev/manifest/v1"

// MaxDocument bounds a document in bytes: a bundle and the lines of its manifest.
const MaxDocument = MaxSize + maxBundle

// maxBundle bounds the bundle, which has one output and one digest in it.
const maxBundle = 64 << 10

// A Statement is what a builder signs: that its build of an output with a digest has the
// contents that some lines list.
type Statement struct {
	Ecosystem  string
	DigestKind attestation.DigestKind
	Output     string             // key
	Digest     attestation.Digest // of the output
	Lines      attestation.Digest // SHA-256 of the manifest's lines
	Size       int                // of the lines, in bytes
}

type wireStatement struct {
	Type          string        `json:"_type"`
	Subject       []wireSubject `json:"subject"`
	PredicateType string        `json:"predicateType"`
	Predicate     wirePredicate `json:"predicate"`
}

type wireSubject struct {
	Name   string     `json:"name"`
	Digest wireDigest `json:"digest"`
}

type wireDigest struct {
	SHA256 attestation.Digest `json:"sha256"`
}

type wirePredicate struct {
	Ecosystem  string                 `json:"ecosystem"`
	DigestKind attestation.DigestKind `json:"digestKind"`
	Manifest   struct {
		Digest wireDigest `json:"digest"`
		Size   int        `json:"size"`
	} `json:"manifest"`
}

// Validate reports the first rule that the statement breaks.
func (s *Statement) Validate() error {
	if err := attestation.ValidateEcosystem(s.Ecosystem); err != nil {
		return err
	}
	if err := attestation.ValidateOutput(s.Ecosystem, s.Output); err != nil {
		return err
	}
	switch {
	case s.DigestKind != attestation.NAR && s.DigestKind != attestation.File:
		return fmt.Errorf("digestKind %.20q is neither %q nor %q", s.DigestKind, attestation.NAR, attestation.File)
	case s.Digest.IsZero() || s.Lines.IsZero():
		return errors.New("a sha256 is missing")
	case s.Size < 1 || s.Size > MaxSize:
		return fmt.Errorf("a manifest has 1 to %d bytes, not %d", MaxSize, s.Size)
	}
	return nil
}

// Encode returns the statement as JSON: the same bytes for the same statement.
func (s *Statement) Encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("encoding statement: %w", err)
	}
	w := wireStatement{
		Type: attestation.StatementType, PredicateType: PredicateType,
		Subject:   []wireSubject{{s.Output, wireDigest{s.Digest}}},
		Predicate: wirePredicate{Ecosystem: s.Ecosystem, DigestKind: s.DigestKind},
	}
	w.Predicate.Manifest.Digest.SHA256, w.Predicate.Manifest.Size = s.Lines, s.Size
	return json.Marshal(&w, json.Deterministic(true))
}

// ParseStatement reads a statement. The error wraps [ErrMalformed].
func ParseStatement(payload []byte) (*Statement, error) {
	var w wireStatement
	if err := attestation.DecodeStrict(payload, &w); err != nil {
		return nil, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
	}
	if w.Type != attestation.StatementType || w.PredicateType != PredicateType || len(w.Subject) != 1 {
		return nil, fmt.Errorf("%w: statement: want an in-toto statement about one subject, of type %s", ErrMalformed, PredicateType)
	}
	s := &Statement{
		Ecosystem: w.Predicate.Ecosystem, DigestKind: w.Predicate.DigestKind,
		Output: w.Subject[0].Name, Digest: w.Subject[0].Digest.SHA256,
		Lines: w.Predicate.Manifest.Digest.SHA256, Size: w.Predicate.Manifest.Size,
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
	}
	return s, nil
}

// A Signer signs a payload, and returns the Sigstore bundle: a *signing.Signer does.
type Signer interface {
	SignPayload(ctx context.Context, payload []byte) ([]byte, error)
}

// Sign makes a document of a manifest. Of s, Lines and Size are filled in.
func Sign(ctx context.Context, signer Signer, s Statement, m *Manifest) ([]byte, error) {
	lines, err := m.Encode()
	if err != nil {
		return nil, err
	}
	s.Lines, s.Size = sha256.Sum256(lines), len(lines)
	payload, err := s.Encode()
	if err != nil {
		return nil, err
	}
	bundle, err := signer.SignPayload(ctx, payload)
	if err != nil {
		return nil, err
	}
	if len(bundle) > maxBundle || bytes.Contains(bundle, []byte("\n")) {
		return nil, fmt.Errorf("signing manifest: its bundle is not one line of at most %d bytes", maxBundle)
	}
	return append(append(bundle, '\n'), lines...), nil
}

// A Signed manifest is one whose builder is proven to have signed it. Only [Open] makes one.
type Signed struct {
	Statement
	*Manifest
	Builder signing.BuilderID
	ID      attestation.Digest // SHA-256 of the document
}

// A Check checks a bundle completely, and returns its payload and who signed it.
type Check func(ctx context.Context, bundle []byte) (payload []byte, builder signing.BuilderID, err error)

// Open reads a document: that check takes its bundle, that it is a statement about a
// manifest, and that the lines are those. Signature before contents: what has none costs
// little. The errors wrap [ErrMalformed], or are those of check.
func Open(ctx context.Context, document []byte, check Check) (*Signed, error) {
	bundle, lines, ok := bytes.Cut(document, []byte("\n"))
	if !ok || len(bundle) > maxBundle {
		return nil, fmt.Errorf("%w: want a Sigstore bundle of at most %d bytes on its first line, and the manifest on those behind it", ErrMalformed, maxBundle)
	}
	payload, builder, err := check(ctx, bundle)
	if err != nil {
		return nil, err
	}
	s, err := ParseStatement(payload)
	if err != nil {
		return nil, err
	}
	if len(lines) != s.Size || sha256.Sum256(lines) != s.Lines {
		return nil, fmt.Errorf("%w: the lines are not those that builder %s signed", ErrMalformed, builder)
	}
	m, err := Parse(lines)
	if err != nil {
		return nil, err
	}
	return &Signed{*s, m, builder, sha256.Sum256(document)}, nil
}
