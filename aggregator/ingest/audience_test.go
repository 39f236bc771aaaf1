package ingest_test

import (
	"net/http"
	"testing"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
)

// TestCarriedStatement: what a builder signed for one ledger is taken there, in an entry
// that older programs leave undecided, and by no other aggregator to which a stranger
// carries it: also not when it was withdrawn in the first, of which the other knows
// nothing. What is for all ledgers is taken by both.
func TestCarriedStatement(t *testing.T) {
	const here, elsewhere = "test.example/log", "elsewhere.example/log"
	first := newServer(t, ingest.Config{Origin: here}, nil)
	second := newServer(t, ingest.Config{Origin: elsewhere}, nil)
	signer := first.enrolled(t, "alice", nil)
	if _, err := second.ingest.Enrol(t.Context(), &enrolment.Enrolment{
		Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted,
	}); err != nil {
		t.Fatal(err)
	}
	claim := statement()
	claim.Audience = []string{here}
	bundle := sign(t, signer, claim)
	withdrawal := &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: claim.Ecosystem, DigestKind: claim.DigestKind, Subjects: claim.Subjects,
		Reason: "the disk was broken", Audience: []string{here},
	}
	for _, b := range [][]byte{bundle, sign(t, signer, withdrawal)} {
		if kind := first.keeps(t, b); kind != ledger.Addressed {
			t.Errorf("kept as %s", kind)
		}
	}
	contains(t, second.submit(t, bundle).problem, http.StatusBadRequest, "malformed", "it is for another ledger")
	forAll := sign(t, signer, statement())
	for _, s := range []*server{first, second} {
		if kind := s.keeps(t, forAll); kind != ledger.Attestation {
			t.Errorf("kept as %s", kind)
		}
	}
}

// keeps submits a bundle, and returns the kind of the entry that keeps it.
func (s *server) keeps(t *testing.T, bundle []byte) ledger.Kind {
	t.Helper()
	r := s.submit(t, bundle).results[0]
	if r.Receipt == nil {
		t.Fatalf("refused: %v", r.Problem)
	}
	entry, err := r.Receipt.Verify(s.key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return entry.Kind
}
