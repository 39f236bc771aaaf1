package openpgp

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// The tests' calendar: keys begin at born; documents are received at now.
var (
	born = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	now  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func year(n int) time.Time { return time.Date(n, 6, 1, 0, 0, 0, 0, time.UTC) }

func config(at time.Time) *packet.Config {
	unsalted := false
	return &packet.Config{
		Time: func() time.Time { return at }, Algorithm: packet.PubKeyAlgoEdDSA,
		NonDeterministicSignaturesViaNotation: &unsalted,
	}
}

// newKey makes a person's key that lives for some years; 0: for ever.
func newKey(t testing.TB, name string, years int) *pgp.Entity {
	t.Helper()
	c := config(born)
	c.KeyLifetimeSecs = uint32(years * 365 * 24 * 3600)
	e, err := pgp.NewEntity(name, "", name+"@example.org", c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// newKeyWithSubkey makes a key with a sub-key that signs.
func newKeyWithSubkey(t testing.TB, name string) *pgp.Entity {
	t.Helper()
	e := newKey(t, name, 0)
	if err := e.AddSigningSubkey(config(born)); err != nil {
		t.Fatal(err)
	}
	return e
}

// subkey returns the key that a key's sub-key signs with.
func subkey(e *pgp.Entity) *packet.PrivateKey { return e.Subkeys[len(e.Subkeys)-1].PrivateKey }

// public returns a certificate as gpg --export writes it.
func public(t testing.TB, e *pgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func certificate(t testing.TB, e *pgp.Entity) *Certificate {
	t.Helper()
	certificates, err := ParseCertificates(public(t, e))
	if err != nil {
		t.Fatal(err)
	}
	return certificates[0]
}

func keyring(t testing.TB, entities ...*pgp.Entity) *Keyring {
	t.Helper()
	var certificates []*Certificate
	for _, e := range entities {
		certificates = append(certificates, certificate(t, e))
	}
	return NewKeyring("demo", certificates...)
}

// sign makes one detached signature, binary; change may spoil it before it is
// made.
func sign(t testing.TB, key *packet.PrivateKey, text []byte, at time.Time, change ...func(*packet.Signature)) []byte {
	t.Helper()
	s := &packet.Signature{
		Version: key.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: key.PubKeyAlgo, Hash: crypto.SHA256,
		CreationTime: at, IssuerKeyId: &key.KeyId, IssuerFingerprint: key.Fingerprint,
	}
	for _, c := range change {
		c(s)
	}
	h, err := s.PrepareSign(nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.SigType == packet.SigTypeText {
		pgp.NewCanonicalTextHash(h).Write(text)
	} else {
		h.Write(text)
	}
	if err := s.Sign(h, key, config(at)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// naming returns a person's key as it signs under another key's name.
func naming(e *pgp.Entity, other *packet.PublicKey) *packet.PrivateKey {
	k := *e.PrivateKey
	k.KeyId, k.Fingerprint = other.KeyId, other.Fingerprint
	return &k
}

func armored(t testing.TB, blockType string, packets []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, blockType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(packets); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func ascii(t testing.TB, packets []byte) []byte { return armored(t, openpgp.SignatureType, packets) }
