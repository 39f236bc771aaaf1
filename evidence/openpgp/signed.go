package openpgp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// Limits in bytes of a [Signed], of what is accepted from anybody.
const (
	MaxSignedTextSize      = 1 << 20
	MaxSignedSignatureSize = 128 << 10
	maxHeaderSize          = 1 << 20
)

// A Signed is a text with detached signatures as it was found: the body of a ledger
// entry of a kind whose texts are stored raw (ledger.SignedSums,
// ledger.GitianAssert). The kind says how the text is read.
//
// An entry that could not hold a large text names it: the text is an attachment to
// the ledger then, and the entry has the outputs that the text is about, so that
// what the entry is about follows from the entry alone.
type Signed struct {
	// Project is what the output keys begin with. It is not signed: it only
	// counts for certificates that were enrolled for it.
	Project string
	// Text is byte for byte as it was signed; nil where it is an attachment.
	Text      []byte
	Signature []byte // the detached signatures, armored or binary

	// Attachment is the SHA-256 of a text that is an attachment, Size its
	// length, and Outputs are the keys of the outputs that it names, sorted.
	Attachment attestation.Digest
	Size       int
	Outputs    []string
}

// signedHeader is the first line of the body: JSON with its members in this order
// and no white space. The text follows, unless it is an attachment, and then the
// signature.
type signedHeader struct {
	Project    string             `json:"project"`
	Text       int                `json:"text"`      // length in bytes
	Signature  int                `json:"signature"` // likewise
	Attachment attestation.Digest `json:"attachment,omitzero"`
	Outputs    []string           `json:"outputs,omitempty"` // without the project
}

// Detached reports whether the text is an attachment.
func (s *Signed) Detached() bool { return !s.Attachment.IsZero() }

// Detach returns the same evidence with its text as an attachment, which has to be
// stored before the entry is. Outputs are those that the text names.
func (s *Signed) Detach(outputs []string) *Signed {
	return &Signed{
		Project: s.Project, Signature: s.Signature,
		Attachment: sha256.Sum256(s.Text), Size: len(s.Text), Outputs: outputs,
	}
}

// Attach returns the evidence with its text, which fetch returns by its SHA-256 if it is an
// attachment. An error is fetch's own, or wraps [ErrMalformed].
func (s *Signed) Attach(ctx context.Context, fetch func(context.Context, attestation.Digest) ([]byte, error)) (*Signed, error) {
	if !s.Detached() {
		return s, nil
	}
	text, err := fetch(ctx, s.Attachment)
	if err != nil {
		return nil, err
	}
	if len(text) != s.Size || sha256.Sum256(text) != s.Attachment {
		return nil, fmt.Errorf("%w signed text: the attachment is not the one that the entry names", ErrMalformed)
	}
	whole := *s
	whole.Text = text
	return &whole, nil
}

// CheckOutputs reports whether the outputs that the text names are those that the
// entry says it is about. Of a text within the entry it says nothing.
func (s *Signed) CheckOutputs(outputs []string) error {
	if s.Detached() && !slices.Equal(s.Outputs, outputs) {
		return fmt.Errorf("%w signed text: the entry says that it is about other outputs than its text names", ErrMalformed)
	}
	return nil
}

func (s *Signed) validate() error {
	if err := ValidateProject(s.Project); err != nil {
		return err
	}
	size := len(s.Text)
	if s.Detached() {
		size = s.Size
		if err := s.validateOutputs(); err != nil {
			return err
		}
	} else if s.Size != 0 || len(s.Outputs) > 0 {
		return errors.New("names outputs of a text that is no attachment")
	}
	if size <= 0 || size > MaxSignedTextSize {
		return fmt.Errorf("text of %d bytes: 1 to %d are accepted", size, MaxSignedTextSize)
	}
	if n := len(s.Signature); n == 0 || n > MaxSignedSignatureSize {
		return fmt.Errorf("signature of %d bytes: 1 to %d are accepted", n, MaxSignedSignatureSize)
	}
	return nil
}

func (s *Signed) validateOutputs() error {
	if n := len(s.Outputs); n == 0 || n > MaxRows {
		return fmt.Errorf("%d outputs: 1 to %d are accepted", n, MaxRows)
	}
	for i, output := range s.Outputs {
		if i > 0 && s.Outputs[i-1] >= output {
			return errors.New("the outputs are not sorted, or not each there once")
		}
		if len(output) <= len(s.Project) || output[:len(s.Project)+1] != s.Project+"/" {
			return fmt.Errorf("output key %.100q is none of project %s", output, s.Project)
		}
		if err := attestation.ValidateOutput(ecosystem.Release, output); err != nil {
			return err
		}
	}
	return nil
}

// Encode returns the entry's body: one spelling for one document.
func (s *Signed) Encode() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("encoding signed text: %w", err)
	}
	header := signedHeader{Project: s.Project, Text: len(s.Text), Signature: len(s.Signature), Attachment: s.Attachment}
	text := s.Text
	if s.Detached() {
		header.Text, text = s.Size, nil
		for _, output := range s.Outputs {
			header.Outputs = append(header.Outputs, output[len(s.Project)+1:])
		}
	}
	line, err := json.Marshal(header, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding signed text: %w", err)
	}
	if len(line) > maxHeaderSize {
		return nil, fmt.Errorf("encoding signed text: the outputs' names take %d bytes, at most %d are accepted", len(line), maxHeaderSize)
	}
	return slices.Concat(line, []byte("\n"), text, s.Signature), nil
}

// ParseSigned reads what [Signed.Encode] writes, and nothing else, so that one
// document has one entry. It checks no signature. Errors wrap [ErrMalformed].
func ParseSigned(body []byte) (*Signed, error) {
	s, err := parseSigned(body)
	if err != nil {
		return nil, fmt.Errorf("%w signed text: %w", ErrMalformed, err)
	}
	return s, nil
}

func parseSigned(body []byte) (*Signed, error) {
	line, _, found := bytes.Cut(body[:min(len(body), maxHeaderSize+1)], []byte("\n"))
	if !found {
		return nil, errors.New("it does not begin with a line of JSON")
	}
	rest := slices.Clip(body[len(line)+1:])
	var header signedHeader
	if err := attestation.DecodeStrict(line, &header); err != nil {
		return nil, err
	}
	s := &Signed{Project: header.Project, Attachment: header.Attachment}
	inside := header.Text
	if s.Detached() {
		s.Size, inside = header.Text, 0
		for _, name := range header.Outputs {
			s.Outputs = append(s.Outputs, header.Project+"/"+name)
		}
	}
	if inside < 0 || header.Signature < 0 || inside > len(rest) || len(rest)-inside != header.Signature {
		return nil, fmt.Errorf("%d bytes follow the first line, which names %d and %d", len(rest), inside, header.Signature)
	}
	if !s.Detached() {
		s.Text = rest[:inside:inside]
	}
	s.Signature = rest[inside:]
	canonical, err := s.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(canonical, body) {
		return nil, errors.New("the first line is not in the canonical spelling (members project, text, signature, attachment, outputs in this order, no white space)")
	}
	return s, nil
}

// OpenSigned judges the signatures of a text, which is there, at the time at, when it
// was received. An error wraps [ErrMalformed]: the bytes are no evidence.
func OpenSigned(s *Signed, lookup Lookup, at time.Time) ([]Signature, error) {
	return judgeAll(s.Project, s.Text, s.Signature, MaxSignatures, lookup, at)
}
