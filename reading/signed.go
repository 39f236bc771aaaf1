package reading

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence/gitian"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
)

// signedText is what a raw text with OpenPGP signatures says.
type signedText struct {
	sums   openpgp.Sums
	inputs attestation.Digest // zero where the text does not say
}

// A textParser reads the text of a kind whose texts are stored raw. One that says
// nothing of any output is no evidence of anything.
type textParser func(s *openpgp.Signed) (*signedText, error)

// parseRows reads checksums by the wider grammar.
func parseRows(s *openpgp.Signed) (*signedText, error) {
	rows := openpgp.ParseRows(s.Project, s.Text)
	if err := rows.Usable(); err != nil {
		return nil, fmt.Errorf("%w checksum text: %w", openpgp.ErrMalformed, err)
	}
	return &signedText{sums: rows.Sums}, nil
}

// parseAssertion reads an assertion of a Gitian build.
func parseAssertion(s *openpgp.Signed) (*signedText, error) {
	a, err := gitian.Parse(s.Project, s.Text)
	if err != nil {
		return nil, err
	}
	return &signedText{a.Rows.Sums, a.Inputs}, nil
}

// parserOf returns how the texts of a kind are read; nil if the kind has no raw texts.
func parserOf(kind ledger.Kind) textParser {
	switch kind {
	case ledger.SignedSums:
		return parseRows
	case ledger.GitianAssert:
		return parseAssertion
	default:
		return nil
	}
}

// peekSigned returns what a raw text is about. Where the text is an attachment, the
// entry says so itself.
func peekSigned(parse textParser) func([]byte) (*Named, error) {
	return func(body []byte) (*Named, error) {
		s, err := openpgp.ParseSigned(body)
		if err != nil {
			return nil, err
		}
		n := &Named{Ecosystem: ecosystem.Release, Outputs: s.Outputs}
		if s.Detached() {
			return n, nil
		}
		text, err := parse(s)
		if err != nil {
			return nil, err
		}
		n.Outputs = text.sums.Outputs()
		return n, nil
	}
}

// openSigned opens documents of a kind whose texts are stored raw.
func openSigned(kind ledger.Kind, parse textParser) func(context.Context, *Reader, []byte, when) (*Document, error) {
	return func(ctx context.Context, r *Reader, body []byte, at when) (*Document, error) {
		s, err := r.whole(ctx, body)
		if err != nil {
			return nil, err
		}
		text, err := parse(s)
		if err == nil {
			err = s.CheckOutputs(text.sums.Outputs())
		}
		if err != nil {
			return nil, err
		}
		ring, err := r.ring(ctx, s.Project)
		if err != nil {
			return nil, err
		}
		signatures, err := openpgp.OpenSigned(s, ring.Lookup, at.received)
		if err != nil {
			return nil, err
		}
		d := &Document{
			Kind: kind, Ecosystem: ecosystem.Release, DigestKind: attestation.File, Rows: rowsOf(text.sums), Inputs: text.inputs,
		}
		d.signFor(r, s.Project, signatures)
		return d.complete(), nil
	}
}

// whole returns a raw text, from the attachments if it is one. That it cannot be had now
// is an error, because every reader of the ledger must come to the same end; one that
// was erased says nothing.
func (r *Reader) whole(ctx context.Context, body []byte) (*openpgp.Signed, error) {
	named, err := openpgp.ParseSigned(body)
	if err != nil {
		return nil, err
	}
	s, err := named.Attach(ctx, r.texts)
	switch {
	case errors.Is(err, ledger.ErrErased):
		return nil, fmt.Errorf("%w signed text: it was erased: %w", openpgp.ErrMalformed, err)
	case err != nil && !errors.Is(err, openpgp.ErrMalformed):
		return nil, unavailable("text "+named.Attachment.Hex(), err)
	}
	return s, err
}

// signFor adds the signatures of a project's document.
func (d *Document) signFor(r *Reader, project string, signatures []openpgp.Signature) {
	for i := range signatures {
		s := &signatures[i]
		d.sign(r, r.forProject(project, s), func(signer Signer) string {
			return fmt.Sprintf("%x %s %016x", s.Statement, signer.Builder, s.KeyID)
		})
	}
}

// TextKinds are the kinds of documents whose text may be an attachment.
func TextKinds() []ledger.Kind {
	return slices.DeleteFunc(Kinds(), func(k ledger.Kind) bool { return parserOf(k) == nil })
}

// TextOf returns the attachment that has the text of an entry's document; ok is false
// if the text is within the entry, or the entry is none of such a document.
func TextOf(e *ledger.Entry) (sum attestation.Digest, ok bool) {
	if parserOf(e.Kind) == nil {
		return sum, false
	}
	s, err := openpgp.ParseSigned(e.Body)
	if err != nil || !s.Detached() {
		return sum, false
	}
	return s.Attachment, true
}

// CheckWhole reports, as a [Refused], that a document that is handed in does not have its
// text with it: only the ledger's writer makes a text an attachment.
func CheckWhole(kind ledger.Kind, body []byte) error {
	if parserOf(kind) == nil {
		return nil
	}
	s, err := openpgp.ParseSigned(body)
	if err == nil && s.Detached() {
		err = fmt.Errorf("%w signed text: it is not in the document, which names an attachment: send the text itself", openpgp.ErrMalformed)
	}
	return refused(err)
}

// Detach returns the body of an entry for a document that is too large for one, and the
// text that has to be an attachment then. It is only for documents that a [Reader]
// opened. The text is nil where the kind knows no attachments.
func Detach(kind ledger.Kind, body []byte) (smaller, text []byte, err error) {
	parse := parserOf(kind)
	if parse == nil {
		return body, nil, nil
	}
	s, err := openpgp.ParseSigned(body)
	if err != nil || s.Detached() {
		return body, nil, err
	}
	said, err := parse(s)
	if err != nil {
		return nil, nil, err
	}
	smaller, err = s.Detach(said.sums.Outputs()).Encode()
	return smaller, s.Text, err
}
