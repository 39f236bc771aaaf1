package enrolment_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

const origin = "repro.example.org/2026"

// asks is what a signer asks for.
func asks(signer *signing.Signer) *request.Request {
	return &request.Request{
		Origin: origin, PublicKey: signer.Public(), Operator: "alice", Contact: "alice@example.org",
		Created: time.Now().UTC().Truncate(time.Second),
	}
}

func encode(t *testing.T, r *request.Request) []byte {
	t.Helper()
	payload, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func sign(t *testing.T, signer *signing.Signer, payload []byte) jsontext.Value {
	t.Helper()
	bundle, err := signer.SignPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func document(t *testing.T, d request.Document) []byte {
	t.Helper()
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func nobody(id signing.BuilderID) (signing.Key, error) {
	return signing.Key{}, signing.ErrUnknownBuilder
}

func TestOpenRequest(t *testing.T) {
	alice := signingtest.New(t)
	want := asks(alice)
	text := document(t, request.Document{Request: sign(t, alice, encode(t, want))})
	got, err := enrolment.OpenRequest(text, origin, nobody, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b *signing.PublicKey) bool { return a.Builder() == b.Builder() })
	if diff := cmp.Diff(want, got.Asked(), same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Builder() != alice.Public().Builder() || !bytes.Equal(got.Document(), text) || got.HasIdentity() {
		t.Error("builder, document or identity are not those that were sent")
	}
}

// TestOpenRequestRefuses holds what somebody could send who wants to be taken for
// another, or to be enrolled where or when it was not asked for.
func TestOpenRequestRefuses(t *testing.T) {
	alice, mallory := signingtest.New(t), signingtest.New(t)
	now := time.Now()
	payload := encode(t, asks(alice))
	changed := func(change func(*request.Request)) []byte {
		r := asks(alice)
		change(r)
		return encode(t, r)
	}
	signed := func(payload []byte) []byte {
		return document(t, request.Document{Request: sign(t, alice, payload)})
	}
	claim, err := (&attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "a/b^out", Digest: attestation.Digest{1}}},
		Builds:   []attestation.Build{{Name: "a/b", Outputs: []int{0}, Finished: now, Occasion: attestation.OccasionBuild}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	spelled := func(old, replacement string) []byte {
		if !bytes.Contains(payload, []byte(old)) {
			t.Fatalf("the payload has no %s", old)
		}
		return signed(bytes.Replace(payload, []byte(old), []byte(replacement), 1))
	}
	swapped := strings.Replace(string(signed(payload)), alice.Public().Hint(), mallory.Public().Hint(), 1)
	// Mallory's signature under Alice's name, and Alice's over what she did not say.
	forged := strings.Replace(string(sign(t, mallory, payload)), mallory.Public().Hint(), alice.Public().Hint(), 1)
	changedAfter := strings.Replace(string(sign(t, alice, payload)), base64.StdEncoding.EncodeToString(payload),
		base64.StdEncoding.EncodeToString(changed(func(r *request.Request) { r.Operator = "bob" })), 1)
	tests := map[string]struct {
		document []byte
		want     error
		says     string
	}{
		"another ledger's":         {signed(changed(func(r *request.Request) { r.Origin = "other.example.org" })), enrolment.ErrRequest, "meant for the ledger"},
		"a key that is not held":   {document(t, request.Document{Request: sign(t, mallory, payload)}), signing.ErrSignature, "signed it, not"},
		"a forged signature":       {document(t, request.Document{Request: jsontext.Value(forged)}), signing.ErrSignature, "is not what builder"},
		"changed after signing":    {document(t, request.Document{Request: jsontext.Value(changedAfter)}), signing.ErrSignature, "is not what builder"},
		"a signature of another":   {[]byte(swapped), signing.ErrSignature, "signed it, not"},
		"old":                      {signed(changed(func(r *request.Request) { r.Created = r.Created.Add(-request.MaxAge - time.Minute) })), enrolment.ErrRequest, "make a new one"},
		"from the future":          {signed(changed(func(r *request.Request) { r.Created = r.Created.Add(request.Skew + time.Minute) })), enrolment.ErrRequest, "check this machine's clock"},
		"a claim about builds":     {signed(claim), enrolment.ErrRequest, "unknown member"},
		"endorsed by nobody named": {document(t, request.Document{Request: sign(t, alice, payload), Endorsement: sign(t, mallory, payload)}), enrolment.ErrRequest, "replaces names no builder"},
		"replaces the unknown":     {signed(changed(func(r *request.Request) { r.Replaces = mallory.Public().Builder() })), signing.ErrUnknownBuilder, "endorsement"},
		"nothing":                  {nil, enrolment.ErrRequest, ""},
		"not JSON":                 {[]byte("hello"), enrolment.ErrRequest, ""},
		"null":                     {[]byte("null"), enrolment.ErrRequest, "not a bundle"},
		"no request":               {[]byte("{}"), enrolment.ErrRequest, "not a bundle"},
		"unknown member":           {[]byte(`{"request":{},"x":1}`), enrolment.ErrRequest, "/x"},
		"member twice":             {[]byte(`{"request":{},"request":{}}`), enrolment.ErrRequest, "occurs twice"},
		"too large":                {[]byte(`{"request":{"x":"` + strings.Repeat("a", request.MaxSize) + `"}}`), enrolment.ErrRequest, "at most"},
		"not a bundle":             {[]byte(`{"request":{}}`), signing.ErrMalformed, ""},
		"white space":              {spelled(`,`, ` ,`), enrolment.ErrRequest, "spelled"},
		"null in it":               {spelled(`"operator":"alice"`, `"operator":null`), enrolment.ErrRequest, "spelled"},
		"case variant":             {spelled(`"operator"`, `"Operator"`), enrolment.ErrRequest, "unknown"},
		"operator twice":           {spelled(`"operator":"alice"`, `"operator":"bob","operator":"alice"`), enrolment.ErrRequest, "occurs twice"},
		"operator of two lines":    {spelled(`"alice"`, `"al\nice"`), enrolment.ErrRequest, "is not 1 to 40 characters"},
		"contact of two lines":     {spelled(`alice@example.org`, `a\nb`), enrolment.ErrRequest, "contact is not one line"},
		"terminal codes":           {spelled(`alice@example.org`, `\u001b[2J`), enrolment.ErrRequest, "contact is not one line"},
		"long contact":             {spelled(`alice@example.org`, strings.Repeat("a", request.MaxContact+1)), enrolment.ErrRequest, "contact is not one line"},
		"no origin":                {spelled(`"`+origin+`"`, `""`), enrolment.ErrRequest, "origin"},
		"fraction of a second":     {spelled(`Z"`, `.5Z"`), enrolment.ErrRequest, "whole seconds"},
		"another predicate":        {spelled(request.PredicateType, "https://repronet.dev/rebuild/v1"), enrolment.ErrRequest, "predicateType"},
		"another subject":          {spelled(`"sha256":"`, `"sha256":"00`), enrolment.ErrRequest, "spelled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := enrolment.OpenRequest(tt.document, origin, nobody, now)
			if r != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
}

// TestEndorsement has an older key speak for a newer one.
func TestEndorsement(t *testing.T) {
	older, newer, mallory := signingtest.New(t), signingtest.New(t), signingtest.New(t)
	now := time.Now()
	r := asks(newer)
	r.Replaces = older.Public().Builder()
	payload := encode(t, r)
	other := asks(mallory)
	other.Replaces = r.Replaces
	own := sign(t, newer, payload)
	valid := signing.Key{PublicKey: older.Public()}
	tests := map[string]struct {
		endorsement jsontext.Value
		key         signing.Key
		err, want   error
	}{
		"endorsed":           {endorsement: sign(t, older, payload), key: valid},
		"by nobody":          {key: valid, want: signing.ErrMalformed},
		"by the new key":     {endorsement: own, key: valid, want: signing.ErrSignature},
		"by another":         {endorsement: sign(t, mallory, payload), key: valid, want: signing.ErrSignature},
		"of another request": {endorsement: sign(t, older, encode(t, other)), key: valid, want: signing.ErrSignature},
		"by a revoked key":   {endorsement: sign(t, older, payload), err: signing.ErrKeyNotValid, want: signing.ErrKeyNotValid},
		"by an expired key": {
			endorsement: sign(t, older, payload), key: signing.Key{PublicKey: older.Public(), NotAfter: now.Add(-time.Second)},
			want: signing.ErrKeyNotValid,
		},
		"by a key before its time": {
			endorsement: sign(t, older, payload), key: signing.Key{PublicKey: older.Public(), NotBefore: now.Add(time.Hour)},
			want: signing.ErrKeyNotValid,
		},
		"by a certificate": {endorsement: sign(t, older, payload), want: signing.ErrKeyNotValid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := document(t, request.Document{Request: own, Endorsement: tt.endorsement})
			lookup := func(id signing.BuilderID) (signing.Key, error) {
				if id != r.Replaces {
					t.Errorf("looked builder %s up", id)
				}
				return tt.key, tt.err
			}
			_, err := enrolment.OpenRequest(text, origin, lookup, now)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// TestReplaces holds every reader of the ledger to what an aggregator may write:
// a key speaks only for its own operator, and not once it is revoked.
func TestReplaces(t *testing.T) {
	r := enrolment.NewRoster()
	apply := func(index uint64, kind ledger.Kind, body []byte, err error) error {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		check := r.Check(kind, body)
		_, _, applied := r.Apply(index, kind, body)
		if (check == nil) != (applied == nil) {
			t.Errorf("checked: %v, applied: %v", check, applied)
		}
		return applied
	}
	enrol := func(index uint64, key *signing.PublicKey, operator string, replaces signing.BuilderID) error {
		t.Helper()
		body, err := (&enrolment.Enrolment{
			Builder: key.Builder(), PublicKey: key.DER(), Operator: operator, Tier: enrolment.Counted,
			Replaces: replaces, Endorsement: attestation.Digest{byte(index)},
		}).Encode()
		return apply(index, ledger.Enrolment, body, err)
	}
	older, newer, other := signingtest.New(t).Public(), signingtest.New(t).Public(), signingtest.New(t).Public()
	if err := enrol(1, older, "alice", ""); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another operator's": enrol(2, newer, "bob", older.Builder()),
		"nobody":             enrol(3, newer, "alice", other.Builder()),
	} {
		if !errors.Is(err, enrolment.ErrConflict) {
			t.Errorf("replaces %s: %v", name, err)
		}
	}
	if err := enrol(4, newer, "alice", older.Builder()); err != nil {
		t.Fatal(err)
	}
	if b, _ := r.Builder(newer.Builder()); b.Replaces != older.Builder() || b.Endorsement != (attestation.Digest{4}) {
		t.Errorf("builder %+v", b)
	}
	body, err := (&enrolment.Revocation{Builder: older.Builder(), From: enrolment.FromNow, Reason: "lost"}).Encode()
	if err := apply(5, ledger.Revocation, body, err); err != nil {
		t.Fatal(err)
	}
	if b, _ := r.Builder(older.Builder()); b.RevokedFrom != 5 || b.RevokedAt != 5 {
		t.Errorf("revoked from %d at %d, want 5", b.RevokedFrom, b.RevokedAt)
	}
	if err := enrol(6, other, "alice", older.Builder()); !errors.Is(err, enrolment.ErrConflict) {
		t.Errorf("replaces a revoked key: %v", err)
	}
}

func FuzzOpenRequest(f *testing.F) {
	// Every process of the fuzzer has the same key.
	signer, err := signing.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	payload, err := asks(signer).Encode()
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := signer.SignPayload(f.Context(), payload)
	if err != nil {
		f.Fatal(err)
	}
	text, err := (&request.Document{Request: bundle}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(payload)
	f.Add([]byte(`{"request":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := enrolment.OpenRequest(text, origin, nobody, time.Now()); err == nil && r.Builder() != signer.Public().Builder() {
			t.Errorf("a request of builder %s was opened, whose key nobody has", r.Builder())
		}
		if r, err := request.Parse(text); err == nil {
			if again, err := r.Encode(); err != nil || !bytes.Equal(again, text) {
				t.Errorf("%q was read, and is written as %q (%v)", text, again, err)
			}
		}
	})
}
