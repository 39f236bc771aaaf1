package openpgp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/signing"
)

func TestBuilderOf(t *testing.T) {
	// printf openpgp:0123456789abcdef0123456789abcdef01234567 | sha256sum |
	//   head -c 40 | xxd -r -p | base32 | tr A-Z a-z
	const want = "2twv6wmnexgg5tn4qzlx3n3vrwk7biv5"
	got := BuilderOf("0123456789abcdef0123456789abcdef01234567")
	if got != want {
		t.Errorf("builder %s, want %s", got, want)
	}
	if _, err := signing.ParseBuilderID(string(got)); err != nil {
		t.Error(err)
	}
}

func TestParseCertificates(t *testing.T) {
	alice, bob := newKey(t, "alice", 0), newKeyWithSubkey(t, "bob")
	a, b := public(t, alice), public(t, bob)
	both := append(bytes.Clone(a), b...)
	for name, data := range map[string][]byte{
		"binary": both, "armored": armored(t, pgp.PublicKeyType, both),
		"two blocks": append(armored(t, pgp.PublicKeyType, a), armored(t, pgp.PublicKeyType, b)...),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseCertificates(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || !bytes.Equal(got[0].Bytes(), a) || !bytes.Equal(got[1].Bytes(), b) {
				t.Fatalf("%d certificates, or other bytes", len(got))
			}
			if len(got[0].KeyIDs()) != 1 || len(got[1].KeyIDs()) != 2 {
				t.Errorf("keys %x and %x", got[0].KeyIDs(), got[1].KeyIDs())
			}
		})
	}
}

func TestParseCertificatesRefuses(t *testing.T) {
	alice := newKey(t, "alice", 0)
	a := public(t, alice)
	var secret bytes.Buffer
	if err := alice.SerializePrivate(&secret, config(born)); err != nil {
		t.Fatal(err)
	}
	forged := newKey(t, "alice", 0)
	for _, identity := range forged.Identities {
		identity.SelfCertifications[0].Packet.EdDSASigR = alice.Identities[identity.Name].SelfCertifications[0].Packet.EdDSASigR
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                         {nil, "no block"},
		"truncated":                     {a[:len(a)-3], "cut off"},
		"truncated armor":               {armored(t, pgp.PublicKeyType, a)[:200], "no END line"},
		"secret key":                    {secret.Bytes(), "keep it secret"},
		"secret key, armored":           {armored(t, pgp.PrivateKeyType, secret.Bytes()), "keep it secret"},
		"huge":                          {bytes.Repeat([]byte{0x99}, MaxCertificateSize+1), "at most"},
		"without a key":                 {sign(t, alice.PrivateKey, text, born), "does not begin with a public key"},
		"self-signature of another key": {public(t, forged), "no valid self-signature"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseCertificates(test.data); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzParseCertificates(f *testing.F) {
	alice := newKeyWithSubkey(f, "alice")
	if err := alice.Revoke(packet.KeyRetired, "", config(year(2023))); err != nil {
		f.Fatal(err)
	}
	genuine := certificate(f, alice)
	f.Add(public(f, alice))
	f.Add(armored(f, pgp.PublicKeyType, public(f, alice)))
	f.Fuzz(func(t *testing.T, data []byte) {
		certificates, err := ParseCertificates(data)
		if err != nil {
			return
		}
		for _, c := range certificates {
			if c.fingerprint == genuine.fingerprint && len(c.keys) > len(genuine.keys) {
				t.Error("alice's certificate gained a key")
			}
			if again, err := ParseCertificates(c.Bytes()); err != nil || len(again) != 1 || again[0].fingerprint != c.fingerprint {
				t.Errorf("the packets of a certificate are not that certificate: %v", err)
			}
		}
	})
}
