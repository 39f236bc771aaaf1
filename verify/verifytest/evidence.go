package verifytest

import (
	"bytes"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/verify"
)

// Project is that for which [Ledger.Certify] enrols certificates.
const Project = "demo"

// Certify makes a person with an OpenPGP key and enrols it. The pin is of that key.
func (l *Ledger) Certify(operator string) (*openpgptest.Person, verify.Builder) {
	l.tb.Helper()
	p := openpgptest.NewPerson(l.tb, operator, time.Now())
	if _, err := l.attachments().Put(bytes.NewReader(p.Bytes())); err != nil {
		l.tb.Fatal(err)
	}
	body, err := (&enrolment.Enrolment{
		Builder: p.Builder(), Operator: operator, Tier: enrolment.Counted,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: p.Fingerprint(), Project: Project, Certificate: p.Sum()},
	}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	l.Append(ledger.Enrolment, body)
	return p, verify.Builder{ID: p.Builder(), Operator: operator, OpenPGP: []verify.Certificate{{Project: Project, Packets: p.Bytes()}}}
}

// Sums appends a checksum document that a person signed.
func (l *Ledger) Sums(p *openpgptest.Person, text string) uint64 {
	l.tb.Helper()
	return l.Append(ledger.OpenPGPSums, p.Sign(Project, text, time.Now()))
}

// SumsApart appends a checksum document that a person signed, with its text as an
// attachment.
func (l *Ledger) SumsApart(p *openpgptest.Person, text string, outputs ...string) *openpgp.Signed {
	l.tb.Helper()
	whole := &openpgp.Signed{Project: Project, Text: []byte(text), Signature: p.Detached(text, time.Now())}
	s := whole.Detach(outputs)
	body, err := s.Encode()
	if err == nil {
		_, err = l.attachments().Put(bytes.NewReader(whole.Text))
	}
	if err != nil {
		l.tb.Fatal(err)
	}
	l.Append(ledger.SignedSums, body)
	return s
}

// Erase appends an erasure and deletes the attachment.
func (l *Ledger) Erase(sum attestation.Digest) uint64 {
	l.tb.Helper()
	body, err := (&enrolment.Erasure{Attachment: sum, Reason: "asked for"}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	index := l.Append(ledger.Erased, body)
	l.Lose(sum)
	return index
}

// Lose deletes an attachment, as no ledger may without an entry that says so.
func (l *Ledger) Lose(sum attestation.Digest) {
	l.tb.Helper()
	if err := l.attachments().Erase(ledger.AttachmentID(sum)); err != nil {
		l.tb.Fatal(err)
	}
}

func (l *Ledger) attachments() *ledger.Attachments {
	l.tb.Helper()
	attachments, err := ledger.OpenAttachments(l.Dir)
	if err != nil {
		l.tb.Fatal(err)
	}
	return attachments
}
