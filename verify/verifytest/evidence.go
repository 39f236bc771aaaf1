package verifytest

import (
	"bytes"
	"crypto/sha256"

	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/evidence/openpgp"
	"repronet/ledger"
	"repronet/verify"
)

// Project is that for which [Ledger.Certify] enrols certificates.
const Project = "demo"

// A Person signs checksum documents with an OpenPGP key.
type Person struct {
	// Pin pins the certificate.
	Pin verify.Builder
	// Certificate is the attachment that has it.
	Certificate attestation.Digest

	key *pgp.Entity
}

// Certify makes an OpenPGP key of an operator and enrols it.
func (l *Ledger) Certify(operator string) *Person {
	l.tb.Helper()
	key, err := pgp.NewEntity(operator, "", operator+"@example.org", nil)
	if err != nil {
		l.tb.Fatal(err)
	}
	var serialized bytes.Buffer
	if err := key.Serialize(&serialized); err != nil {
		l.tb.Fatal(err)
	}
	parsed, err := openpgp.ParseCertificates(serialized.Bytes())
	if err != nil {
		l.tb.Fatal(err)
	}
	packets := parsed[0].Bytes()
	p := &Person{key: key, Certificate: sha256.Sum256(packets), Pin: verify.Builder{
		ID: parsed[0].Builder(), Operator: operator, OpenPGP: []verify.Certificate{{Project: Project, Packets: packets}},
	}}
	if _, err := l.attachments().Put(bytes.NewReader(packets)); err != nil {
		l.tb.Fatal(err)
	}
	body, err := (&enrolment.Enrolment{
		Builder: p.Pin.ID, Operator: operator, Tier: enrolment.Counted,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: parsed[0].Fingerprint(), Project: Project, Certificate: p.Certificate},
	}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	l.Append(ledger.Enrolment, body)
	return p
}

// Sums appends a checksum document that a person signed.
func (l *Ledger) Sums(p *Person, text string) uint64 {
	l.tb.Helper()
	var signature bytes.Buffer
	if err := pgp.DetachSign(&signature, []*pgp.Entity{p.key}, bytes.NewReader([]byte(text)), nil); err != nil {
		l.tb.Fatal(err)
	}
	body, err := (&openpgp.Document{Project: Project, Text: []byte(text), Signature: signature.Bytes()}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	return l.Append(ledger.OpenPGPSums, body)
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
