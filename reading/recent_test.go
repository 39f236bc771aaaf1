package reading_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// rosterOf returns a roster in which a builder is enrolled.
func rosterOf(t *testing.T, signer *signing.Signer) *enrolment.Roster {
	t.Helper()
	roster := enrolment.NewRoster()
	body, err := (&enrolment.Enrolment{
		Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted,
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := roster.Apply(0, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	return roster
}

// rebuildBy returns a bundle about one output.
func rebuildBy(t *testing.T, signer *signing.Signer, audience []string) []byte {
	t.Helper()
	bundle, err := signer.Sign(context.Background(), &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File, Audience: audience,
		Subjects: []attestation.Subject{{Name: "alice/tool-1^out", Digest: attestation.Digest{1}}},
		Builds: []attestation.Build{{
			Name: "alice/tool-1", Outputs: []int{0}, Finished: time.Now().Truncate(time.Second), Occasion: attestation.OccasionBuild,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// TestRecent: a statement is taken once, by the bytes of its bundle; and what depends on
// the reader is the reader's own.
func TestRecent(t *testing.T) {
	signer := signingtest.New(t)
	roster := rosterOf(t, signer)
	bundle := rebuildBy(t, signer, []string{"a.example/log"})
	said, err := reading.New(roster, nil).In("a.example/log").Statement(t.Context(), bundle, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	marked := *said
	statement := *said.Statement
	statement.Reason, marked.Statement = "held", &statement
	var recent reading.Recent
	put := func() { recent.Put(bundle, &marked) }
	read := func(roster *enrolment.Roster, origin string) (string, error) {
		s, err := reading.New(roster, nil).In(origin).After(&recent).Statement(t.Context(), bundle, time.Now())
		if err != nil {
			return "", err
		}
		return s.Reason, nil
	}

	put()
	if reason, err := read(roster, "a.example/log"); reason != "held" || err != nil {
		t.Errorf("the first read says %q, %v", reason, err)
	}
	if reason, err := read(roster, "a.example/log"); reason != "" || err != nil {
		t.Errorf("the second is not opened anew: %q, %v", reason, err)
	}
	put()
	if _, err := read(roster, "b.example/log"); !errors.Is(err, reading.ErrOtherLedger) {
		t.Errorf("in another ledger: %v", err)
	}
	put()
	if _, err := read(enrolment.NewRoster(), "a.example/log"); !errors.Is(err, signing.ErrUnknownBuilder) {
		t.Errorf("where the builder is unknown: %v", err)
	}
	body, err := (&enrolment.Revocation{Builder: signer.Public().Builder(), Reason: "lost"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := roster.Apply(1, ledger.Revocation, body); err != nil {
		t.Fatal(err)
	}
	put()
	if _, err := read(roster, "a.example/log"); !errors.Is(err, signing.ErrKeyNotValid) {
		t.Errorf("when the key was revoked: %v", err)
	}
	body, err = (&enrolment.Enrolment{
		Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted, NotAfter: time.Now().Add(-time.Hour),
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	expired := enrolment.NewRoster()
	if _, _, err := expired.Apply(0, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	put()
	if _, err := read(expired, "a.example/log"); !errors.Is(err, signing.ErrKeyNotValid) {
		t.Errorf("when the key is not valid any more: %v", err)
	}
}

// TestRecentIsBounded: what finds no room is not held, and what nobody takes makes room.
func TestRecentIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := signingtest.New(t)
		roster := rosterOf(t, signer)
		var recent reading.Recent
		held := &reading.Statement{Statement: &attestation.Statement{Reason: "held"}, Builder: signer.Public().Builder()}
		huge := make([]byte, 15<<20)
		bundle := append(rebuildBy(t, signer, nil), make([]byte, 2<<20)...)
		isHeld := func() bool {
			s, err := reading.New(roster, nil).After(&recent).Statement(t.Context(), bundle, time.Now())
			return err == nil && s.Reason == "held"
		}
		recent.Put(huge, held)
		recent.Put(bundle, held)
		if isHeld() {
			t.Error("more is held than there is room for")
		}
		time.Sleep(time.Minute)
		recent.Put(bundle, held)
		if !isHeld() {
			t.Error("what nobody took makes no room")
		}
	})
}
