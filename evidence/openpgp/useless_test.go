package openpgp

import (
	"bytes"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // old keys are what the test is about
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/evidence"
)

// newWeakKey makes a person's key of a private key that is too weak today.
func newWeakKey(t *testing.T, name string, private *packet.PrivateKey) *pgp.Entity {
	t.Helper()
	e := newKey(t, name, 0)
	e.PrimaryKey, e.PrivateKey, e.Subkeys = &private.PublicKey, private, nil
	e.Identities = map[string]*pgp.Identity{}
	id := packet.NewUserId(name, "", name+"@example.org")
	self := &packet.Signature{
		Version: 4, SigType: packet.SigTypePositiveCert, PubKeyAlgo: private.PubKeyAlgo, Hash: crypto.SHA256,
		CreationTime: born, IssuerKeyId: &private.KeyId, FlagsValid: true, FlagSign: true, FlagCertify: true,
	}
	if err := self.SignUserId(id.Id, e.PrimaryKey, private, config(born)); err != nil {
		t.Fatal(err)
	}
	e.Identities[id.Id] = &pgp.Identity{Primary: e, Name: id.Id, UserId: id, SelfCertifications: []*packet.VerifiableSignature{packet.NewVerifiableSig(self)}}
	return e
}

func newRSA(t *testing.T, bits int) *packet.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return packet.NewRSAPrivateKey(born, key)
}

func newDSA(t *testing.T) *packet.PrivateKey {
	t.Helper()
	var key dsa.PrivateKey
	err := dsa.GenerateParameters(&key.Parameters, rand.Reader, dsa.L1024N160)
	if err == nil {
		err = dsa.GenerateKey(&key, rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return packet.NewDSAPrivateKey(born, &key)
}

// TestKeysThatNeverCount: they are known by name, what they signed is weak and their
// owner's, and never "unknown".
func TestKeysThatNeverCount(t *testing.T) {
	for name, test := range map[string]struct {
		key    *packet.PrivateKey
		reason string
	}{
		"DSA":      {newDSA(t), "a DSA key"},
		"RSA 1024": {newRSA(t, 1024), "an RSA key of 1024 bits"},
	} {
		t.Run(name, func(t *testing.T) {
			old := newWeakKey(t, "olga", test.key)
			c := certificate(t, old)
			if reason := c.NeverCounts(); !strings.Contains(reason, test.reason) {
				t.Errorf("never counts because %q", reason)
			}
			lookup := NewKeyring("demo", c).Lookup
			s := open(t, text, sign(t, test.key, text, year(2021)), lookup).Signatures()[0]
			if s.State != evidence.Weak || s.Builder != c.Builder() || !strings.Contains(s.Reason, test.reason) {
				t.Errorf("state %s (%s) of %q", s.State, s.Reason, s.Builder)
			}
			s = open(t, text, sign(t, test.key, []byte("another document"), year(2021)), lookup).Signatures()[0]
			if s.State != evidence.Bad || s.Builder != "" {
				t.Errorf("of another document: state %s of %q", s.State, s.Builder)
			}
		})
	}
}

func TestNeverCounts(t *testing.T) {
	compromised, retired := newKey(t, "erin", 0), newKey(t, "frank", 0)
	if err := compromised.Revoke(packet.KeyCompromised, "", config(year(2023))); err != nil {
		t.Fatal(err)
	}
	if err := retired.Revoke(packet.KeyRetired, "", config(year(2023))); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key  *pgp.Entity
		want string
	}{
		"compromised": {compromised, "was revoked as compromised"}, "retired": {retired, ""}, "expired": {newKey(t, "carol", 1), ""}, "good": {newKey(t, "alice", 0), ""},
	} {
		if got := certificate(t, test.key).NeverCounts(); (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWeakPrimaryWithStrongSubkey: a sub-key that is strong counts, whatever its
// primary key is.
func TestWeakPrimaryWithStrongSubkey(t *testing.T) {
	old := newWeakKey(t, "olga", newRSA(t, 1024))
	if err := old.AddSigningSubkey(config(born)); err != nil {
		t.Fatal(err)
	}
	c := certificate(t, old)
	if reason := c.NeverCounts(); reason != "" {
		t.Errorf("never counts: %s", reason)
	}
	lookup := NewKeyring("demo", c).Lookup
	all := append(sign(t, subkey(old), text, year(2021)), sign(t, old.PrivateKey, text, year(2021))...)
	signatures := open(t, text, all, lookup).Signatures()
	if signatures[0].State != evidence.Valid || signatures[1].State != evidence.Weak || signatures[1].Builder != signatures[0].Builder {
		t.Errorf("%+v", signatures)
	}
}

func TestReadCertificatesGoesOn(t *testing.T) {
	alice, forged := newKey(t, "alice", 0), newKey(t, "alice", 0)
	for _, identity := range forged.Identities {
		identity.SelfCertifications[0].Packet.EdDSASigR = alice.Identities[identity.Name].SelfCertifications[0].Packet.EdDSASigR
	}
	certificates, failures, err := ReadCertificates(bytes.Join([][]byte{public(t, forged), public(t, alice)}, nil))
	if err != nil || len(certificates) != 1 || len(failures) != 1 || certificates[0].Fingerprint() != certificate(t, alice).Fingerprint() {
		t.Errorf("%d certificates, %v, %v", len(certificates), failures, err)
	}
	if ids := certificates[0].UserIDs(); len(ids) != 1 || !strings.Contains(ids[0], "alice@example.org") {
		t.Errorf("user ids %q", ids)
	}
}
