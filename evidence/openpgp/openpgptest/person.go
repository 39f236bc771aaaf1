// Package openpgptest makes people with real OpenPGP keys, who sign checksum
// documents, for tests of the packages that open those.
package openpgptest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/attestation"
	"repronet.dev/evidence/openpgp"
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

// Detached returns a detached signature of a text, binary, that the person made at a
// time.
func (p *Person) Detached(text string, at time.Time) []byte {
	p.tb.Helper()
	var signature bytes.Buffer
	config := &packet.Config{Time: func() time.Time { return at }}
	if err := pgp.DetachSign(&signature, []*pgp.Entity{p.key}, bytes.NewReader([]byte(text)), config); err != nil {
		p.tb.Fatal(err)
	}
	return signature.Bytes()
}

// DetachedSHA1 is [Person.Detached] with a hash that proves nothing any more.
func (p *Person) DetachedSHA1(text string, at time.Time) []byte {
	p.tb.Helper()
	key, salted := p.key.PrivateKey, false // go-crypto salts by no such hash
	s := &packet.Signature{
		Version: key.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: key.PubKeyAlgo, Hash: crypto.SHA1,
		CreationTime: at, IssuerKeyId: &key.KeyId, IssuerFingerprint: key.Fingerprint,
	}
	h, err := s.PrepareSign(nil)
	var signature bytes.Buffer
	if err == nil {
		h.Write([]byte(text))
		err = s.Sign(h, key, &packet.Config{Time: func() time.Time { return at }, NonDeterministicSignaturesViaNotation: &salted})
	}
	if err == nil {
		err = s.Serialize(&signature)
	}
	if err != nil {
		p.tb.Fatal(err)
	}
	return signature.Bytes()
}

// Clearsigned returns a clearsigned text of the person.
func (p *Person) Clearsigned(text string, at time.Time) []byte {
	p.tb.Helper()
	var message bytes.Buffer
	w, err := clearsign.Encode(&message, p.key.PrivateKey, &packet.Config{Time: func() time.Time { return at }})
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		p.tb.Fatal(err)
	}
	return message.Bytes()
}

// Sign returns the body of an entry with a checksum document that the person signed
// at a time.
func (p *Person) Sign(project, text string, at time.Time) []byte {
	p.tb.Helper()
	body, err := (&openpgp.Document{Project: project, Text: []byte(text), Signature: p.Detached(text, at)}).Encode()
	if err != nil {
		p.tb.Fatal(err)
	}
	return body
}
