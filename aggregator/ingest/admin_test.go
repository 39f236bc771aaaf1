package ingest_test

import (
	"testing"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/enrolment"
	"repronet.dev/signing/signingtest"
)

// TestEnrolUnchanged enrols a builder again: what says nothing new is no entry.
func TestEnrolUnchanged(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	key := signingtest.New(t).Public()
	e := enrolment.Enrolment{Builder: key.Builder(), PublicKey: key.DER(), Operator: "alice", Tier: enrolment.Open}
	enrol := func(entries uint64) (index uint64) {
		t.Helper()
		s.stored(t, entries, func() {
			var err error
			if index, err = s.ingest.Enrol(t.Context(), &e); err != nil {
				t.Fatal(err)
			}
		})
		return index
	}
	first := enrol(1)
	if again := enrol(0); again != first {
		t.Errorf("the same enrolment again: index %d, want %d", again, first)
	}
	e.Tier = enrolment.Counted
	second := enrol(1)
	if again := enrol(0); again != second {
		t.Errorf("the changed enrolment again: index %d, want %d", again, second)
	}
	e.Tier = enrolment.Open
	enrol(1) // as the first, but not as the newest
}
