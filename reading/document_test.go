package reading_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

var (
	born = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	now  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// world is a ledger's enrolments with their attachments.
type world struct {
	t           *testing.T
	roster      *enrolment.Roster
	attachments map[attestation.Digest][]byte
	erased      attestation.Digest
	keys        *reading.Reader
	next        uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, roster: enrolment.NewRoster(), attachments: map[attestation.Digest][]byte{}}
	w.keys = reading.New(w.roster, func(_ context.Context, sum attestation.Digest) ([]byte, error) {
		if sum == w.erased {
			return nil, ledger.ErrErased
		}
		data, ok := w.attachments[sum]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return data, nil
	})
	return w
}

func newKey(t *testing.T, name string) *pgp.Entity {
	t.Helper()
	e, err := pgp.NewEntity(name, "", name+"@example.org", &packet.Config{Time: func() time.Time { return born }, Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func certificate(t *testing.T, e *pgp.Entity) *openpgp.Certificate {
	t.Helper()
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	list, err := openpgp.ParseCertificates(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// enrol enrols a key for a project with an attachment that has the packets of
// another, usually the same.
func (w *world) enrol(operator, project string, key, attached *pgp.Entity) *enrolment.OpenPGP {
	w.t.Helper()
	packets := certificate(w.t, attached).Bytes()
	sum := attestation.Digest(sha256.Sum256(packets))
	w.attachments[sum] = packets
	c := certificate(w.t, key)
	e := &enrolment.Enrolment{
		Builder: c.Builder(), Operator: operator, Tier: enrolment.Counted,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: c.Fingerprint(), Project: project, Certificate: sum},
	}
	body, err := e.Encode()
	if err == nil {
		_, _, err = w.roster.Apply(w.next, ledger.Enrolment, body)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	return e.OpenPGP
}

const text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  file\n"

func (w *world) open(project string, signers ...*pgp.Entity) *reading.Document {
	w.t.Helper()
	var signatures bytes.Buffer
	for _, signer := range signers {
		c := &packet.Config{Time: func() time.Time { return born.AddDate(1, 0, 0) }}
		if err := pgp.DetachSign(&signatures, []*pgp.Entity{signer}, bytes.NewReader([]byte(text)), c); err != nil {
			w.t.Fatal(err)
		}
	}
	body, err := (&openpgp.Document{Project: project, Text: []byte(text), Signature: signatures.Bytes()}).Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := w.keys.Document(w.t.Context(), ledger.OpenPGPSums, body, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// TestCertificatesCountForTheirProjectOnly: a key of one project says nothing of
// another's files, until it is enrolled for that too.
func TestCertificatesCountForTheirProjectOnly(t *testing.T) {
	w, alice := newWorld(t), newKey(t, "alice")
	w.enrol("alice", "one", alice, alice)
	if e := w.open("one", alice); e.State() != evidence.Valid || e.Reason() != "" || len(e.Counted()) != 1 || e.Rows[0].Output != "one/file" {
		t.Errorf("for its project: %+v", e)
	}
	if e := w.open("two", alice); e.State() != evidence.UnknownKey || len(e.Counted()) != 0 || e.Reason() == "" {
		t.Errorf("for another project: %+v", e)
	}
	w.enrol("alice", "two", alice, alice)
	if e := w.open("two", alice); len(e.Counted()) != 1 {
		t.Errorf("enrolled for both: %+v", e)
	}
}

// TestSwappedCertificate: an enrolment whose attachment is another's certificate
// gives nobody a voice, neither the one named nor the one attached.
func TestSwappedCertificate(t *testing.T) {
	w, alice, bob := newWorld(t), newKey(t, "alice"), newKey(t, "bob")
	swapped := w.enrol("alice", "one", alice, bob)
	w.enrol("bob", "two", bob, bob) // bob counts, but elsewhere
	for _, signer := range []*pgp.Entity{alice, bob} {
		if e := w.open("one", signer); len(e.Counted()) != 0 || e.State() != evidence.UnknownKey {
			t.Errorf("counts: %+v", e)
		}
	}
	if _, err := w.keys.Certificate(t.Context(), swapped); err == nil {
		t.Error("the enrolment would be written")
	}
}

// TestMissingAttachment: a certificate that cannot be had now is an error about
// this reader, not about the evidence.
func TestMissingAttachment(t *testing.T) {
	w, alice := newWorld(t), newKey(t, "alice")
	missing := w.enrol("alice", "one", alice, alice)
	delete(w.attachments, missing.Certificate)
	body, err := (&openpgp.Document{Project: "one", Text: []byte(text), Signature: []byte{0x88, 0}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.keys.Document(t.Context(), ledger.OpenPGPSums, body, now); err == nil || errors.As(err, new(*reading.Refused)) {
		t.Errorf("got %v", err)
	}
}

// TestID: what makes two documents the same.
func TestID(t *testing.T) {
	w, alice, bob, eve := newWorld(t), newKey(t, "alice"), newKey(t, "bob"), newKey(t, "eve")
	w.enrol("alice", "one", alice, alice)
	first := w.open("one", alice).ID
	if w.open("one", alice, eve).ID != first || w.open("one", eve, alice).ID != first {
		t.Error("a signature that does not count makes another document")
	}
	if w.open("one", bob).ID == w.open("one", eve).ID {
		t.Error("two unknown signers have the same document")
	}
	unknown := w.open("one", bob).ID
	w.enrol("bob", "one", bob, bob)
	if w.open("one", bob).ID == unknown {
		t.Error("a document that comes to count is the one that did not")
	}
	both := w.open("one", alice, bob).ID
	if both == first || both != w.open("one", bob, alice).ID {
		t.Error("the document of both depends on the order of signatures, or is that of one")
	}
}

// TestErasedCertificate: a certificate that the ledger erased gives nobody a voice,
// also where somebody else's enrolment brings the same key in other packets.
func TestErasedCertificate(t *testing.T) {
	w, alice, bob := newWorld(t), newKey(t, "alice"), newKey(t, "bob")
	w.enrol("bob", "one", bob, bob)
	first := w.enrol("alice", "one", alice, alice)
	if e := w.open("one", alice); len(e.Counted()) != 1 {
		t.Fatalf("before: %+v", e)
	}
	w.erased = first.Certificate
	w.keys.Erase(first.Certificate)
	if e := w.open("one", alice, bob); len(e.Counted()) != 1 || e.Counted()[0].Builder != certificate(t, bob).Builder() {
		t.Errorf("afterwards: %+v", e)
	}
	if _, err := w.keys.Certificate(t.Context(), first); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("it would be enrolled again: %v", err)
	}
	if err := alice.AddUserId("alice again", "", "", &packet.Config{Time: func() time.Time { return born }}); err != nil {
		t.Fatal(err)
	}
	w.enrol("mallory", "one", newKey(t, "mallory"), alice)
	if e := w.open("one", alice); len(e.Counted()) != 0 || e.State() != evidence.UnknownKey {
		t.Errorf("by another's enrolment: %+v", e)
	}
	w.enrol("alice", "one", alice, alice)
	if e := w.open("one", alice); len(e.Counted()) != 1 {
		t.Errorf("by another edition: %+v", e)
	}
}

// TestCountedOnceEach: a builder with several signatures counts once, by its
// latest, and those that do not count take nothing away.
func TestCountedOnceEach(t *testing.T) {
	w, alice, bob, eve := newWorld(t), newKey(t, "alice"), newKey(t, "bob"), newKey(t, "eve")
	w.enrol("alice", "one", alice, alice)
	w.enrol("bob", "one", bob, bob)
	years := func(n int) func() time.Time { return func() time.Time { return born.AddDate(n, 0, 0) } }
	var signatures bytes.Buffer
	for _, s := range []struct {
		by *pgp.Entity
		at func() time.Time
	}{{alice, years(1)}, {bob, years(3)}, {eve, years(5)}, {alice, years(4)}, {alice, years(2)}} {
		if err := pgp.DetachSign(&signatures, []*pgp.Entity{s.by}, bytes.NewReader([]byte(text)), &packet.Config{Time: s.at}); err != nil {
			t.Fatal(err)
		}
	}
	body, err := (&openpgp.Document{Project: "one", Text: []byte(text), Signature: signatures.Bytes()}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.keys.Document(t.Context(), ledger.OpenPGPSums, body, now)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Counted()
	if len(got) != 2 || got[0].Builder != certificate(t, alice).Builder() || got[1].Builder != certificate(t, bob).Builder() {
		t.Fatalf("counted %+v", got)
	}
	if !got[0].SignedAt.Equal(born.AddDate(4, 0, 0)) || !got[1].SignedAt.Equal(born.AddDate(3, 0, 0)) {
		t.Errorf("counted by those of %s and %s", got[0].SignedAt, got[1].SignedAt)
	}
	if len(e.Signers) != 5 || e.State() != evidence.Valid {
		t.Errorf("%d signers, state %s", len(e.Signers), e.State())
	}
}
