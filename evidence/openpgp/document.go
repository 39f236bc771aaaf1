package openpgp

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/evidence"
)

// Limits in bytes, of what is accepted from anybody. The size of a ledger entry
// is usually reached first by a text of MaxTextSize.
const (
	MaxTextSize        = 512 << 10
	MaxSignatureSize   = 64 << 10
	MaxCertificateSize = 1 << 20 // of a file of certificates
)

// ErrMalformed is [evidence.ErrMalformed], wrapped by the errors of [Open] and
// [ParseDocument].
var ErrMalformed = evidence.ErrMalformed

// A Document is a checksum document as it was found, the body of a ledger entry
// of kind ledger.OpenPGPSums.
type Document struct {
	// Project is what the output keys begin with. It is not signed: it only
	// counts for certificates that were enrolled for it.
	Project   string `json:"project"`
	Text      []byte `json:"text"`      // the checksum file, byte for byte
	Signature []byte `json:"signature"` // the detached signatures, armored or binary
}

var projectPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ValidateProject reports whether name can name a project.
func ValidateProject(name string) error {
	if !projectPattern.MatchString(name) {
		return fmt.Errorf("project %.70q is not 1 to 64 characters of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit", name)
	}
	return nil
}

func (d *Document) validate() error {
	if err := ValidateProject(d.Project); err != nil {
		return err
	}
	if n := len(d.Text); n == 0 || n > MaxTextSize {
		return fmt.Errorf("checksum text of %d bytes: 1 to %d are accepted", n, MaxTextSize)
	}
	if n := len(d.Signature); n == 0 || n > MaxSignatureSize {
		return fmt.Errorf("signature of %d bytes: 1 to %d are accepted", n, MaxSignatureSize)
	}
	return nil
}

// Encode returns the entry's body: one spelling for one document.
func (d *Document) Encode() ([]byte, error) {
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("encoding checksum document: %w", err)
	}
	return json.Marshal(d, json.Deterministic(true))
}

// ParseDocument reads what [Document.Encode] writes, and nothing else, so that
// one document has one entry. It checks no signature.
func ParseDocument(body []byte) (*Document, error) {
	const largest = (MaxTextSize+MaxSignatureSize)/3*4 + 1024
	if len(body) > largest {
		return nil, fmt.Errorf("%w checksum document: %d bytes, at most %d are accepted", ErrMalformed, len(body), largest)
	}
	var d Document
	if err := attestation.DecodeStrict(body, &d); err != nil {
		return nil, fmt.Errorf("%w checksum document: %w", ErrMalformed, err)
	}
	canonical, err := d.Encode()
	if err != nil {
		return nil, fmt.Errorf("%w checksum document: %w", ErrMalformed, err)
	}
	if !bytes.Equal(canonical, body) {
		return nil, fmt.Errorf("%w checksum document: not in the canonical spelling (members project, text, signature in this order, no white space)", ErrMalformed)
	}
	return &d, nil
}
