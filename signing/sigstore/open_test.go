package sigstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// newSigner returns a signer with a fresh key.
func newSigner(t testing.TB, algorithm signing.Algorithm) *signing.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case signing.Ed25519:
		_, key, err = ed25519.GenerateKey(nil)
	case signing.P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signing.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func sign(t testing.TB, signer *signing.Signer, payload []byte) []byte {
	t.Helper()
	bundle, err := signer.SignPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func encode(t testing.TB, s *attestation.Statement) []byte {
	t.Helper()
	payload, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// lookupOf knows the given keys, unbounded in time.
func lookupOf(signers ...*signing.Signer) sigstore.Lookup {
	return func(id signing.BuilderID) (signing.Key, error) {
		for _, signer := range signers {
			if signer.Public().Builder() == id {
				return signing.Key{PublicKey: signer.Public()}, nil
			}
		}
		return signing.Key{}, fmt.Errorf("%w: %s", signing.ErrUnknownBuilder, id)
	}
}

// change decodes a bundle into plain JSON values, lets edit change them, and
// encodes it again.
func change(t testing.TB, bundle []byte, edit func(bundle, envelope map[string]any)) []byte {
	t.Helper()
	var b map[string]any
	if err := json.Unmarshal(bundle, &b); err != nil {
		t.Fatal(err)
	}
	edit(b, b["dsseEnvelope"].(map[string]any))
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signatureOf(envelope map[string]any) map[string]any {
	return envelope["signatures"].([]any)[0].(map[string]any)
}

func TestOpen(t *testing.T) {
	for _, algorithm := range []signing.Algorithm{signing.Ed25519, signing.P256} {
		t.Run(string(algorithm), func(t *testing.T) {
			signer := newSigner(t, algorithm)
			payload := encode(t, statementOf(3))
			bundle := sign(t, signer, payload)
			v, err := sigstore.Open(bundle, lookupOf(newSigner(t, algorithm), signer), finished)
			if err != nil {
				t.Fatal(err)
			}
			if v.Builder() != signer.Public().Builder() || v.PayloadDigest() != sha256.Sum256(payload) ||
				!bytes.Equal(v.Payload(), payload) || !bytes.Equal(v.Bundle(), bundle) || len(v.Statement().Subjects) != 3 {
				t.Errorf("what was opened is not what was signed: %+v", v)
			}
			builder, digest, err := signing.Peek(bundle)
			if err != nil || builder != v.Builder() || digest != v.PayloadDigest() {
				t.Errorf("Peek: %s %s %v", builder, digest, err)
			}
		})
	}
}

// TestOpenAcceptsOtherSpellings: the same claim in other JSON is the same claim.
func TestOpenAcceptsOtherSpellings(t *testing.T) {
	signer := newSigner(t, signing.Ed25519)
	payload := encode(t, statementOf(1))
	bundle := sign(t, signer, payload)
	for name, spelling := range map[string][]byte{
		"other order, no spaces": change(t, bundle, func(_, _ map[string]any) {}),
		"white space":            append([]byte("\n\t "), bundle...),
		"snake case":             bytes.Replace(bundle, []byte(`"mediaType"`), []byte(`"media_type"`), 1),
		"URL base 64":            change(t, bundle, func(_, e map[string]any) { e["payload"] = base64.RawURLEncoding.EncodeToString(payload) }),
	} {
		t.Run(name, func(t *testing.T) {
			v, err := sigstore.Open(spelling, lookupOf(signer), finished)
			if err != nil {
				t.Fatal(err)
			}
			if v.PayloadDigest() != sha256.Sum256(payload) {
				t.Error("another claim")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	signer, other := newSigner(t, signing.Ed25519), newSigner(t, signing.Ed25519)
	p256 := newSigner(t, signing.P256)
	payload := encode(t, statementOf(1))
	good := sign(t, signer, payload)
	edit := func(f func(bundle, envelope map[string]any)) []byte { return change(t, good, f) }
	setHint := func(hint string) []byte {
		return edit(func(b, _ map[string]any) {
			b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": hint}}
		})
	}
	resign := func(old, replacement string) []byte {
		changed := strings.Replace(string(payload), old, replacement, 1)
		if changed == string(payload) {
			t.Fatalf("the payload has no %s", old)
		}
		return sign(t, signer, []byte(changed))
	}
	tests := map[string]struct {
		bundle []byte
		err    error
		want   string
	}{
		"empty":          {nil, signing.ErrMalformed, "not a Sigstore bundle in JSON"},
		"not JSON":       {[]byte("hello"), signing.ErrMalformed, "not a Sigstore bundle in JSON: syntax error (line 1:1)"},
		"null":           {[]byte("null"), signing.ErrMalformed, "not a Sigstore bundle in JSON"},
		"empty object":   {[]byte("{}"), signing.ErrMalformed, `mediaType is "", want`},
		"unknown member": {edit(func(b, _ map[string]any) { b[strings.Repeat("x", 5000)] = 1 }), signing.ErrMalformed, "unknown field"},
		"duplicate member": {
			append([]byte(`{"mediaType":"x",`), good[1:]...), signing.ErrMalformed, "duplicate field",
		},
		"trailing data": {append(bytes.Clone(good), good...), signing.ErrMalformed, "not a Sigstore bundle in JSON"},
		"oversized":     {append(bytes.Repeat([]byte(" "), signing.MaxBundleSize), good...), signing.ErrTooLarge, "split the statement"},
		"oversized payload": {
			edit(func(_, e map[string]any) {
				e["payload"] = base64.StdEncoding.EncodeToString(make([]byte, attestation.MaxPayloadSize+1))
			}), signing.ErrTooLarge, "a payload of 2097153 bytes",
		},
		"media type": {
			edit(func(b, _ map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2" }), signing.ErrMalformed,
			`mediaType is "application/vnd.dev.sigstore.bundle+json;version=0.2", want`,
		},
		"payload type": {
			edit(func(_, e map[string]any) { e["payloadType"] = "text/plain" }), signing.ErrMalformed,
			`payloadType is "text/plain", want "application/vnd.in-toto+json"`,
		},
		"no envelope": {
			edit(func(b, _ map[string]any) { delete(b, "dsseEnvelope") }), signing.ErrMalformed, "no DSSE envelope",
		},
		"message signature": {
			edit(func(b, _ map[string]any) {
				delete(b, "dsseEnvelope")
				b["messageSignature"] = map[string]any{"signature": "AAAA"}
			}), signing.ErrMalformed, "no DSSE envelope",
		},
		"no signature": {
			edit(func(_, e map[string]any) { e["signatures"] = []any{} }), signing.ErrMalformed, "0 signatures, want one",
		},
		"two signatures": {
			edit(func(_, e map[string]any) { e["signatures"] = append(e["signatures"].([]any), signatureOf(e)) }),
			signing.ErrMalformed, "2 signatures, want one",
		},
		"key id": {
			edit(func(_, e map[string]any) { signatureOf(e)["keyid"] = "anything" }), signing.ErrMalformed, "leave it empty",
		},
		"certificate": {
			edit(func(b, _ map[string]any) {
				b["verificationMaterial"] = map[string]any{"certificate": map[string]any{"rawBytes": "MIIB"}}
			}), signing.ErrUnknownBuilder, "keys only are known here",
		},
		"no certificate": {
			edit(func(b, _ map[string]any) {
				b["verificationMaterial"] = map[string]any{"certificate": map[string]any{}}
			}), signing.ErrMalformed, "its certificate is empty",
		},
		"no key":         {edit(func(b, _ map[string]any) { delete(b, "verificationMaterial") }), signing.ErrMalformed, "it names no key"},
		"malformed hint": {setHint("???"), signing.ErrMalformed, "it names no key"},
		"short hint":     {setHint("AAAA"), signing.ErrMalformed, "it names no key"},
		"unknown key":    {sign(t, newSigner(t, signing.Ed25519), payload), signing.ErrUnknownBuilder, "builder is not enrolled"},

		"tampered payload": {
			edit(func(_, e map[string]any) {
				e["payload"] = base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte("hello"), []byte("jello"), 1))
			}), signing.ErrSignature, "the payload is not what builder " + string(signer.Public().Builder()) + " signed",
		},
		"tampered signature": {
			edit(func(_, e map[string]any) {
				e["signatures"] = []any{map[string]any{"sig": base64.StdEncoding.EncodeToString(make([]byte, 64))}}
			}), signing.ErrSignature, "signature does not verify",
		},
		"empty signature":           {edit(func(_, e map[string]any) { signatureOf(e)["sig"] = "" }), signing.ErrSignature, ""},
		"hint of another builder":   {setHint(other.Public().Hint()), signing.ErrSignature, "builder " + string(other.Public().Builder())},
		"hint of another algorithm": {setHint(p256.Public().Hint()), signing.ErrSignature, ""},
		"re-signed, hint of the first": {
			change(t, sign(t, other, payload), func(b, _ map[string]any) {
				b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": signer.Public().Hint()}}
			}), signing.ErrSignature, "",
		},

		// Signed properly: the statement is at fault, not the signature.
		"signed, not JSON":      {sign(t, signer, []byte("hello")), signing.ErrMalformed, "malformed statement: parsing statement: not JSON at byte 0"},
		"signed, empty":         {sign(t, signer, []byte("{}")), signing.ErrMalformed, `malformed statement: statement's _type is ""`},
		"signed, duplicate":     {resign(`"subject":`, `"subject":[],"subject":`), signing.ErrMalformed, "/subject: the member occurs twice"},
		"signed, case variant":  {resign(`"subject":`, `"Subject":[],"subject":`), signing.ErrMalformed, "/Subject: unknown member"},
		"signed, wrong type":    {resign("in-toto.io/Statement/v1", "in-toto.io/Statement/v2"), signing.ErrMalformed, "_type is"},
		"signed, upper digest":  {resign(`"sha256":"01`, `"sha256":"0A`), signing.ErrMalformed, "lower case"},
		"signed, no subjects":   {resign(`"subject":[`, `"subject":[],"x":[`), signing.ErrMalformed, "unknown member"},
		"signed, invalid UTF-8": {resign("hello", "hell\xff"), signing.ErrMalformed, "not JSON at byte"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := sigstore.Open(test.bundle, lookupOf(signer, other, p256), finished)
			if v != nil {
				t.Error("Open returned a value beside the error")
			}
			if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v,\nwant %q, with %q", err, test.err, test.want)
			}
			if len(err.Error()) > 500 {
				t.Errorf("the error repeats too much of the input: %d bytes", len(err.Error()))
			}
		})
	}
}

func TestOpenChecksValidityAtReceipt(t *testing.T) {
	signer := newSigner(t, signing.Ed25519)
	bundle := sign(t, signer, encode(t, statementOf(1)))
	key := signing.Key{PublicKey: signer.Public(), NotBefore: finished, NotAfter: finished.Add(time.Hour)}
	lookup := func(signing.BuilderID) (signing.Key, error) { return key, nil }
	for name, test := range map[string]struct {
		at   time.Time
		want string // "" for accepted
	}{
		"not yet valid": {finished.Add(-time.Second), "not before 2026-03-01T12:00:00Z"},
		"first second":  {finished, ""},
		"last second":   {finished.Add(time.Hour), ""},
		"expired":       {finished.Add(time.Hour + time.Second), "expired on 2026-03-01T13:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sigstore.Open(bundle, lookup, test.at)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, signing.ErrKeyNotValid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestOpenDistrustsTheLookup: a look-up that answers with another builder's key
// must not turn that builder's signature into this builder's.
func TestOpenDistrustsTheLookup(t *testing.T) {
	signer, other := newSigner(t, signing.Ed25519), newSigner(t, signing.Ed25519)
	bundle := change(t, sign(t, other, encode(t, statementOf(1))), func(b, _ map[string]any) {
		b["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": signer.Public().Hint()}}
	})
	for name, key := range map[string]signing.Key{"another key": {PublicKey: other.Public()}, "no key": {}} {
		t.Run(name, func(t *testing.T) {
			_, err := sigstore.Open(bundle, func(signing.BuilderID) (signing.Key, error) { return key, nil }, finished)
			if !errors.Is(err, signing.ErrUnknownBuilder) {
				t.Errorf("got %v, want %v", err, signing.ErrUnknownBuilder)
			}
		})
	}
}

// TestMalleableSignature: for each ECDSA signature (r, s), (r, n−s) is valid too.
// Both are the same claim.
func TestMalleableSignature(t *testing.T) {
	signer := newSigner(t, signing.P256)
	bundle := sign(t, signer, encode(t, statementOf(1)))
	mirrored := change(t, bundle, func(_, e map[string]any) {
		der, err := base64.StdEncoding.DecodeString(signatureOf(e)["sig"].(string))
		if err != nil {
			t.Fatal(err)
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			t.Fatal(err)
		}
		rs.S.Sub(elliptic.P256().Params().N, rs.S)
		if der, err = asn1.Marshal(rs); err != nil {
			t.Fatal(err)
		}
		signatureOf(e)["sig"] = base64.StdEncoding.EncodeToString(der)
	})
	first, err := sigstore.Open(bundle, lookupOf(signer), finished)
	if err != nil {
		t.Fatal(err)
	}
	second, err := sigstore.Open(mirrored, lookupOf(signer), finished)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(bundle, mirrored) || first.PayloadDigest() != second.PayloadDigest() || first.Builder() != second.Builder() {
		t.Error("the mirrored signature makes another claim")
	}
}

func TestPublicKey(t *testing.T) {
	for _, algorithm := range []signing.Algorithm{signing.Ed25519, signing.P256} {
		t.Run(string(algorithm), func(t *testing.T) {
			key := newSigner(t, algorithm).Public()
			for name, parse := range map[string]func() (*signing.PublicKey, error){
				"PEM": func() (*signing.PublicKey, error) { return signing.ParsePublicKey(key.PEM()) },
				"DER": func() (*signing.PublicKey, error) { return signing.ParsePublicKeyDER(key.DER()) },
			} {
				again, err := parse()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if again.Builder() != key.Builder() || again.Hint() != key.Hint() {
					t.Errorf("%s: another builder", name)
				}
			}
			sum := sha256.Sum256(key.DER())
			if key.Hint() != base64.StdEncoding.EncodeToString(sum[:]) {
				t.Error("the hint is not the base 64 of the key's SHA-256")
			}
			if id, err := signing.ParseBuilderID(string(key.Builder())); err != nil || id != key.Builder() {
				t.Errorf("the builder's ID is not written as one: %v", err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(p384.Public())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signing.ParsePublicKeyDER(der); err == nil || !strings.Contains(err.Error(), "only P-256") {
			t.Errorf("P-384: %v", err)
		}
		pem := newSigner(t, signing.Ed25519).Public().PEM()
		if _, err := signing.ParsePublicKey(append(bytes.Clone(pem), pem...)); err == nil {
			t.Error("two keys in one file were accepted")
		}
		for _, id := range []string{"", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", strings.Repeat("a", 31), strings.Repeat("1", 32)} {
			if _, err := signing.ParseBuilderID(id); err == nil {
				t.Errorf("builder id %q was accepted", id)
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	signer := newSigner(f, signing.Ed25519)
	payload := encode(f, statementOf(1))
	good := sign(f, signer, payload)
	f.Add(good)
	f.Add([]byte(`{"mediaType":"` + signing.MediaType + `","dsseEnvelope":{"signatures":[{}]}}`))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		v, err := sigstore.Open(bundle, lookupOf(signer), finished)
		if err == nil && v.PayloadDigest() != sha256.Sum256(payload) {
			t.Fatal("a claim that nobody signed was opened")
		}
	})
}
