package openpgp

import (
	"bytes"
	"crypto"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/evidence"
	"repronet.dev/signing"
)

var text = []byte(strings.Repeat("ab", 32) + "  demo-1.0.tar.gz\n")

// open judges a document of project demo.
func open(t *testing.T, text, signature []byte, lookup Lookup) *Verified {
	t.Helper()
	body, err := (&Document{Project: "demo", Text: text, Signature: signature}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	v, err := Open(body, lookup, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestStates is the table of what can become of a signature. It holds the
// attacks by keys that are expired, revoked, unknown or swapped.
func TestStates(t *testing.T) {
	alice, mallory := newKey(t, "alice", 0), newKey(t, "mallory", 0)
	shortLived := newKey(t, "carol", 3) // until the end of 2022
	withSubkey := newKeyWithSubkey(t, "dave")
	revoked := func(reason packet.ReasonForRevocation, at time.Time) *pgp.Entity {
		e := newKey(t, "erin", 0)
		if err := e.Revoke(reason, "", config(at)); err != nil {
			t.Fatal(err)
		}
		return e
	}
	compromised, retired := revoked(packet.KeyCompromised, year(2023)), revoked(packet.KeyRetired, year(2023))
	unexplained := revoked(packet.NoReason, year(2023))
	subkeyRevoked := newKeyWithSubkey(t, "frank")
	if err := subkeyRevoked.Subkeys[len(subkeyRevoked.Subkeys)-1].Revoke(packet.KeySuperseded, "", config(year(2023))); err != nil {
		t.Fatal(err)
	}
	primaryRevoked := newKeyWithSubkey(t, "grace")
	if err := primaryRevoked.Revoke(packet.KeyCompromised, "", config(year(2023))); err != nil {
		t.Fatal(err)
	}
	// Mallory's certificates claim Dave's sub-key, which did not sign back for
	// her: once as one that signs, once without saying what it is for.
	stolen := withSubkey.Subkeys[len(withSubkey.Subkeys)-1]
	adopt := func(signs bool) *pgp.Entity {
		thief := newKey(t, "mallory", 0)
		binding := &packet.Signature{
			Version: 4, SigType: packet.SigTypeSubkeyBinding, PubKeyAlgo: thief.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256,
			CreationTime: born, IssuerKeyId: &thief.PrimaryKey.KeyId, FlagsValid: signs, FlagSign: signs,
			EmbeddedSignature: stolen.Bindings[0].Packet.EmbeddedSignature,
		}
		if err := binding.SignKey(stolen.PublicKey, thief.PrivateKey, config(born)); err != nil {
			t.Fatal(err)
		}
		thief.Subkeys = append(thief.Subkeys, pgp.Subkey{Primary: thief, PublicKey: stolen.PublicKey, Bindings: []*packet.VerifiableSignature{packet.NewVerifiableSig(binding)}})
		return thief
	}
	v6 := func() *pgp.Entity {
		c := config(born)
		c.V6Keys, c.Algorithm = true, packet.PubKeyAlgoEd25519
		e, err := pgp.NewEntityWithoutId(c)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}()
	brief := uint32(24 * 3600)

	for _, test := range []struct {
		name      string
		known     *pgp.Entity
		signature []byte
		want      evidence.State
		reason    string // a part of it
	}{
		{"valid", alice, sign(t, alice.PrivateKey, text, year(2021)), evidence.Valid, ""},
		{"valid, armored", alice, ascii(t, sign(t, alice.PrivateKey, text, year(2021))), evidence.Valid, ""},
		{"text signature", alice, sign(t, alice.PrivateKey, text, year(2021), func(s *packet.Signature) { s.SigType = packet.SigTypeText }), evidence.Valid, ""},
		{"sub-key", withSubkey, sign(t, subkey(withSubkey), text, year(2021)), evidence.Valid, ""},
		{"version 6", v6, sign(t, v6.PrivateKey, text, year(2021)), evidence.Valid, ""},
		{"expired since", shortLived, sign(t, shortLived.PrivateKey, text, year(2022)), evidence.ExpiredSince, ""},
		{"made when expired", shortLived, sign(t, shortLived.PrivateKey, text, year(2023)), evidence.OutsideValidity, "had expired on 2022-12-31"},
		{"made before the key", alice, sign(t, alice.PrivateKey, text, year(2019)), evidence.OutsideValidity, "did not exist before 2020-01-01"},
		{"dated in the future", alice, sign(t, alice.PrivateKey, text, year(2026)), evidence.OutsideValidity, "in the future"},
		{"signature limits itself", alice, sign(t, alice.PrivateKey, text, year(2021), func(s *packet.Signature) { s.SigLifetimeSecs = &brief }), evidence.OutsideValidity, "limits its own validity"},
		{"compromised, signed before", compromised, sign(t, compromised.PrivateKey, text, year(2021)), evidence.Revoked, "compromised"},
		{"compromised, signed after", compromised, sign(t, compromised.PrivateKey, text, year(2024)), evidence.Revoked, "compromised"},
		{"revoked without a reason, signed before", unexplained, sign(t, unexplained.PrivateKey, text, year(2021)), evidence.Revoked, "without a reason"},
		{"retired, signed before", retired, sign(t, retired.PrivateKey, text, year(2021)), evidence.Valid, ""},
		{"retired, signed after", retired, sign(t, retired.PrivateKey, text, year(2024)), evidence.Revoked, "revoked on 2023-06-01"},
		{"sub-key superseded, signed before", subkeyRevoked, sign(t, subkey(subkeyRevoked), text, year(2021)), evidence.Valid, ""},
		{"sub-key superseded, signed after", subkeyRevoked, sign(t, subkey(subkeyRevoked), text, year(2024)), evidence.Revoked, "revoked on 2023-06-01"},
		{"primary key of the sub-key compromised", primaryRevoked, sign(t, subkey(primaryRevoked), text, year(2021)), evidence.Revoked, "compromised"},
		{"unknown", alice, sign(t, mallory.PrivateKey, text, year(2021)), evidence.UnknownKey, "is not known for project demo"},
		{"swapped key: names alice, made by mallory", alice, sign(t, naming(mallory, alice.PrimaryKey), text, year(2021)), evidence.Bad, "not a signature of key"},
		{"somebody else's sub-key adopted", adopt(true), sign(t, subkey(withSubkey), text, year(2021)), evidence.UnknownKey, "is not known"},
		{"somebody else's sub-key adopted without flags", adopt(false), sign(t, subkey(withSubkey), text, year(2021)), evidence.UnknownKey, "is not known"},
		{"encryption sub-key named", alice, sign(t, naming(alice, alice.Subkeys[0].PublicKey), text, year(2021)), evidence.UnknownKey, "is not known"},
		{"signature of another document", alice, sign(t, alice.PrivateKey, []byte("another document"), year(2021)), evidence.Bad, "over this text"},
		{"SHA-1", alice, sign(t, alice.PrivateKey, text, year(2021), func(s *packet.Signature) { s.Hash = crypto.SHA1 }), evidence.Weak, "SHA-1"},
		{"SHA-1 by an unknown key", alice, sign(t, mallory.PrivateKey, text, year(2021), func(s *packet.Signature) { s.Hash = crypto.SHA1 }), evidence.Weak, "SHA-1"},
		{"SHA-1 over another document", alice, sign(t, alice.PrivateKey, []byte("another document"), year(2021), func(s *packet.Signature) { s.Hash = crypto.SHA1 }), evidence.Bad, "over this text"},
		{"a certification instead", alice, sign(t, alice.PrivateKey, text, year(2021), func(s *packet.Signature) { s.SigType = packet.SigTypeGenericCert }), evidence.Bad, "not one of a document"},
		{"critical notation", alice, sign(t, alice.PrivateKey, text, year(2021), func(s *packet.Signature) {
			s.Notations = []*packet.Notation{{Name: "only@example.org", Value: []byte("tests"), IsCritical: true}}
		}), evidence.Bad, "critical notation"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := open(t, text, test.signature, keyring(t, test.known).Lookup)
			if len(v.Signatures()) != 1 {
				t.Fatalf("%d signatures", len(v.Signatures()))
			}
			s := v.Signatures()[0]
			if s.State != test.want || !strings.Contains(s.Reason, test.reason) {
				t.Errorf("state %s (%s), want %s (%s)", s.State, s.Reason, test.want, test.reason)
			}
			if s.State.Counts() != (s.Reason == "") {
				t.Errorf("state %s has the reason %q", s.State, s.Reason)
			}
			wantBuilder := signing.BuilderID("")
			if test.want != evidence.Bad && test.want != evidence.UnknownKey && !strings.Contains(test.name, "unknown key") {
				wantBuilder = certificate(t, test.known).Builder()
			}
			if s.Builder != wantBuilder {
				t.Errorf("builder %q, want %q", s.Builder, wantBuilder)
			}
		})
	}
}

// TestDocumentOfAnotherProject: a project is not signed, so a key speaks only
// for those that it was enrolled for.
func TestDocumentOfAnotherProject(t *testing.T) {
	alice := newKey(t, "alice", 0)
	document := &Document{Project: "other", Text: text, Signature: sign(t, alice.PrivateKey, text, year(2021))}
	v, err := OpenDocument(document, keyring(t, alice).Lookup, now)
	if err != nil {
		t.Fatal(err)
	}
	if v.Signatures()[0].State != evidence.UnknownKey {
		t.Errorf("state %s, want %s", v.Signatures()[0].State, evidence.UnknownKey)
	}
}

func TestTamperedDocument(t *testing.T) {
	alice := newKey(t, "alice", 0)
	signature := sign(t, alice.PrivateKey, text, year(2021))
	lookup := keyring(t, alice).Lookup
	for i := range text {
		tampered := bytes.Clone(text)
		tampered[i] ^= 1
		if v := open(t, tampered, signature, lookup); v.Signatures()[0].State != evidence.Bad {
			t.Fatalf("byte %d changed: state %s", i, v.Signatures()[0].State)
		}
	}
}

func TestSeveralSignatures(t *testing.T) {
	alice, bob, mallory := newKey(t, "alice", 0), newKeyWithSubkey(t, "bob"), newKey(t, "mallory", 0)
	earlier, later := sign(t, bob.PrivateKey, text, year(2021)), sign(t, subkey(bob), text, year(2022))
	all := bytes.Join([][]byte{sign(t, alice.PrivateKey, text, year(2021)), earlier, sign(t, mallory.PrivateKey, text, year(2021)), later}, nil)
	for name, signature := range map[string][]byte{
		"binary": all, "one armored block": ascii(t, all),
		"several armored blocks": bytes.Join([][]byte{ascii(t, all[:len(all)-len(later)]), ascii(t, later)}, []byte("\nand\n")),
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t, text, signature, keyring(t, alice, bob).Lookup)
			var states []evidence.State
			for _, s := range v.Signatures() {
				states = append(states, s.State)
			}
			if diff := cmp.Diff([]evidence.State{evidence.Valid, evidence.Valid, evidence.UnknownKey, evidence.Valid}, states); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			for i, want := range []*pgp.Entity{alice, bob, nil, bob} {
				if got := v.Signatures()[i].Builder; want == nil && got != "" || want != nil && got != certificate(t, want).Builder() {
					t.Errorf("signature %d is of builder %q", i, got)
				}
			}
		})
	}
}

// TestStatementIdentifiesTheWord: spellings of one signature are one statement;
// what is said anew later is another.
func TestStatementIdentifiesTheWord(t *testing.T) {
	alice := newKey(t, "alice", 0)
	lookup := keyring(t, alice).Lookup
	id := func(signature []byte) [32]byte { return open(t, text, signature, lookup).Signatures()[0].Statement }
	signature := sign(t, alice.PrivateKey, text, year(2021))
	if id(signature) != id(ascii(t, signature)) {
		t.Error("armor makes another statement")
	}
	if id(signature) == id(sign(t, alice.PrivateKey, text, year(2022))) {
		t.Error("two statements have one identity")
	}
}

func TestMalformedSignature(t *testing.T) {
	alice := newKey(t, "alice", 0)
	signature := sign(t, alice.PrivateKey, text, year(2021))
	good := ascii(t, signature)
	for name, bad := range map[string][]byte{
		"truncated armor":          good[:len(good)-40],
		"truncated within a line":  good[:len(good)/2],
		"armor without packets":    ascii(t, nil),
		"truncated packet":         signature[:len(signature)-5],
		"truncated packet, armor":  ascii(t, signature[:len(signature)-5]),
		"a key instead":            armored(t, pgp.PublicKeyType, public(t, alice)),
		"a key in signature armor": ascii(t, public(t, alice)),
		"not OpenPGP":              []byte("hello"),
		"too many signatures":      bytes.Repeat(signature, MaxSignatures+1),
		"too many blocks":          bytes.Repeat([]byte("-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"), maxBlocks+1),
		"huge armor":               ascii(t, bytes.Repeat(signature, MaxSignatureSize/len(signature))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenDocument(&Document{Project: "demo", Text: text, Signature: bad}, keyring(t, alice).Lookup, now)
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestExtendedKey: the latest self-signature decides, also for what was signed
// before it.
func TestExtendedKey(t *testing.T) {
	old := newKey(t, "carol", 3)
	signature := sign(t, old.PrivateKey, text, year(2023))
	oldEdition := certificate(t, old)
	if v := open(t, text, signature, NewKeyring("demo", oldEdition).Lookup); v.Signatures()[0].State != evidence.OutsideValidity {
		t.Fatalf("before the extension: %s", v.Signatures()[0].State)
	}
	for _, identity := range old.Identities {
		extended := *identity.SelfCertifications[0].Packet
		lifetime := uint32(5 * 365 * 24 * 3600)
		extended.CreationTime, extended.KeyLifetimeSecs = year(2022), &lifetime
		if err := extended.SignUserId(identity.UserId.Id, old.PrimaryKey, old.PrivateKey, config(year(2022))); err != nil {
			t.Fatal(err)
		}
		identity.SelfCertifications = []*packet.VerifiableSignature{packet.NewVerifiableSig(&extended)}
	}
	newEdition := certificate(t, old)
	for name, ring := range map[string]*Keyring{
		"new edition alone": NewKeyring("demo", newEdition),
		"old, then new":     NewKeyring("demo", oldEdition, newEdition),
		"new, then old":     NewKeyring("demo", newEdition, oldEdition),
	} {
		if v := open(t, text, signature, ring.Lookup); v.Signatures()[0].State != evidence.ExpiredSince {
			t.Errorf("%s: %s", name, v.Signatures()[0].State)
		}
		if n := len(ring.Certificates()); n != 1 {
			t.Errorf("%s: %d certificates", name, n)
		}
	}
}

// TestLatestUserIDDecides: a user ID that was added later carries the expiry
// that holds, whatever it is called.
func TestLatestUserIDDecides(t *testing.T) {
	for _, name := range []string{"aaron", "zoe"} {
		e := newKey(t, "carol", 3)
		longer := config(year(2022))
		longer.KeyLifetimeSecs = 5 * 365 * 24 * 3600
		if err := e.AddUserId(name, "", name+"@example.org", longer); err != nil {
			t.Fatal(err)
		}
		if v := open(t, text, sign(t, e.PrivateKey, text, year(2023)), keyring(t, e).Lookup); v.Signatures()[0].State != evidence.ExpiredSince {
			t.Errorf("with %s: %s", name, v.Signatures()[0].State)
		}
	}
}

// TestRevocationSurvivesAnOlderEdition: giving an edition of a certificate from
// before its revocation does not undo that.
func TestRevocationSurvivesAnOlderEdition(t *testing.T) {
	alice := newKey(t, "alice", 0)
	before := certificate(t, alice)
	if err := alice.Revoke(packet.KeyCompromised, "", config(year(2023))); err != nil {
		t.Fatal(err)
	}
	signature := sign(t, alice.PrivateKey, text, year(2021))
	for _, ring := range []*Keyring{NewKeyring("demo", certificate(t, alice), before), NewKeyring("demo", before, certificate(t, alice))} {
		if v := open(t, text, signature, ring.Lookup); v.Signatures()[0].State != evidence.Revoked {
			t.Errorf("state %s", v.Signatures()[0].State)
		}
		// The merged packets are a certificate that says the same.
		again, err := ParseCertificates(ring.Certificates()[0].Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if v := open(t, text, signature, NewKeyring("demo", again...).Lookup); v.Signatures()[0].State != evidence.Revoked {
			t.Errorf("state %s after merging", v.Signatures()[0].State)
		}
	}
}

func FuzzOpen(f *testing.F) {
	alice := newKey(f, "alice", 0)
	lookup := keyring(f, alice).Lookup
	signature := sign(f, alice.PrivateKey, text, year(2021))
	for _, s := range [][]byte{signature, armored(f, openpgp.SignatureType, signature), append(bytes.Clone(signature), signature...)} {
		f.Add(text, s)
	}
	f.Fuzz(func(t *testing.T, fuzzed, signature []byte) {
		v, err := OpenDocument(&Document{Project: "demo", Text: fuzzed, Signature: signature}, lookup, now)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		counts := slices.ContainsFunc(v.Signatures(), func(s Signature) bool { return s.State.Counts() })
		if counts && !bytes.Equal(fuzzed, text) {
			t.Errorf("a text that nobody signed counts: %q", fuzzed)
		}
	})
}
