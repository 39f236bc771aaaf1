// Package openpgptest makes people with real OpenPGP keys, who sign checksum
// documents, for tests of the packages that open those.
package openpgptest

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet/attestation"
	"repronet/evidence/openpgp"
)

// A Person has a key.
type Person struct {
	*openpgp.Certificate
	tb  testing.TB
	key *pgp.Entity
}

// NewPerson makes a key that is valid since a year before now.
func NewPerson(tb testing.TB, name string, now time.Time) *Person {
	tb.Helper()
	born := now.AddDate(-1, 0, 0)
	key, err := pgp.NewEntity(name, "", name+"@example.org", &packet.Config{Time: func() time.Time { return born }, Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		tb.Fatal(err)
	}
	var packets bytes.Buffer
	if err := key.Serialize(&packets); err != nil {
		tb.Fatal(err)
	}
	certificates, err := openpgp.ParseCertificates(packets.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return &Person{certificates[0], tb, key}
}

// Sum is the SHA-256 of the certificate's packets: the attachment's name.
func (p *Person) Sum() attestation.Digest { return sha256.Sum256(p.Bytes()) }

// Sign returns the body of an entry with a checksum document that the person signed
// at a time.
func (p *Person) Sign(project, text string, at time.Time) []byte {
	p.tb.Helper()
	var signature bytes.Buffer
	config := &packet.Config{Time: func() time.Time { return at }}
	if err := pgp.DetachSign(&signature, []*pgp.Entity{p.key}, bytes.NewReader([]byte(text)), config); err != nil {
		p.tb.Fatal(err)
	}
	body, err := (&openpgp.Document{Project: project, Text: []byte(text), Signature: signature.Bytes()}).Encode()
	if err != nil {
		p.tb.Fatal(err)
	}
	return body
}
