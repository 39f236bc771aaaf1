package verify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

func quiet(string, uint64, uint64) {}

func openMirror(t *testing.T, dir string, l *verifytest.Ledger) *verify.Mirror {
	t.Helper()
	m, err := verify.OpenMirror(t.Context(), dir, l.Key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// evidenceOf publishes the ledger, mirrors it anew and returns the evidence on
// its output.
func evidenceOf(t *testing.T, l *verifytest.Ledger, pins *verify.Pins) (*verify.Evidence, error) {
	t.Helper()
	l.Publish()
	pins.Aggregators = []string{l.Serve()}
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	return m.Evidence(t.Context(), pins, "generic", verifytest.Output)
}

func closeMirror(t *testing.T, m *verify.Mirror) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestEvidence(t *testing.T) {
	one, two := verifytest.Digest(1), verifytest.Digest(2)
	type builders struct{ alice, alice2, bob, carol *signing.Signer }
	tests := map[string]struct {
		happens   func(l *verifytest.Ledger, b builders)
		pins      func(p *verify.Pins, b builders)
		verdict   divergence.Verdict
		operators int
		standings []verify.Standing
		unpinned  int
	}{
		"nothing": {happens: func(*verifytest.Ledger, builders) {}},
		"one operator": {
			happens:   func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one) },
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts},
		},
		"two keys of one operator": {
			happens:   func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.alice2, one) },
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"two operators": {
			happens:   func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.bob, one) },
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"dissent": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				l.Attest(b.carol, two)
			},
			verdict:   divergence.Diverged,
			operators: 3, standings: []verify.Standing{verify.Counts, verify.Counts, verify.Counts},
		},
		"dissent withdrawn": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, two)
				l.Attest(b.bob, one)
				l.Withdraw(b.bob, two)
			},
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Withdrawn, verify.Counts},
		},
		"what was withdrawn, written again": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				body := verifytest.Sign(t, b.bob, &attestation.Statement{
					Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
					Subjects: []attestation.Subject{{Name: verifytest.Output, Digest: two}},
					Builds:   []attestation.Build{{Name: verifytest.Build, Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
				})
				l.Append(ledger.Attestation, body)
				l.Withdraw(b.bob, two)
				l.Append(ledger.Attestation, body)
				l.Attest(b.bob, one)
			},
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Withdrawn, verify.Counts},
		},
		"another's withdrawal": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, two)
				l.Withdraw(b.alice, two)
			},
			verdict:   divergence.Diverged,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"revoked from a claim on": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				from := l.Attest(b.bob, two)
				l.Revoke(b.bob.Public().Builder(), from)
			},
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts, verify.Revoked},
		},
		"revoked from the beginning": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				l.Revoke(b.bob.Public().Builder(), 0)
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.Revoked},
		},
		"withdrawal by a revoked key": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, two)
				from := l.Withdraw(b.bob, two)
				l.Revoke(b.bob.Public().Builder(), from)
			},
			verdict:   divergence.Diverged,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"nobody pinned": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				l.Attest(b.bob, two)
			},
			pins:     func(p *verify.Pins, _ builders) { p.Builders = nil },
			unpinned: 2,
		},
		"pinned under another operator": {
			happens: func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.bob, one) },
			pins: func(p *verify.Pins, b builders) {
				p.Pin(verify.NewBuilder(b.bob.Public(), "alice"))
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"pin expired": {
			happens: func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.bob, two) },
			pins: func(p *verify.Pins, b builders) {
				expired := verify.NewBuilder(b.bob.Public(), "bob")
				expired.NotAfter = time.Now().Add(-time.Hour)
				p.Pin(expired)
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.NotValid},
		},
		"other outputs and kinds": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.AttestOutput(b.alice, "generic", "alice/other", "alice/other^bin", attestation.File, two)
				l.AttestOutput(b.alice, "debian", verifytest.Build, verifytest.Output, attestation.File, two)
				l.Append(ledger.Attestation, []byte("{not a bundle"))
				l.Append(ledger.Rules, []byte(`{"version":1}`)) // which judges already
				l.Attest(b.alice, one)
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := verifytest.NewLedger(t)
			b := builders{l.Enrol("alice"), l.Enrol("alice"), l.Enrol("bob"), l.Enrol("carol")}
			test.happens(l, b)
			pins := l.Pins()
			if test.pins != nil {
				test.pins(pins, b)
			}
			e, err := evidenceOf(t, l, pins)
			if err != nil {
				t.Fatal(err)
			}
			if e.Judgement.Verdict != test.verdict || e.Judgement.Operators != test.operators || len(e.Unpinned) != test.unpinned {
				t.Errorf("verdict %v of %d operators, %d unpinned; want %v of %d, %d",
					e.Judgement.Verdict, e.Judgement.Operators, len(e.Unpinned), test.verdict, test.operators, test.unpinned)
			}
			var standings []verify.Standing
			for _, c := range e.Claims {
				standings = append(standings, c.Standing)
			}
			if diff := cmp.Diff(test.standings, standings); diff != "" {
				t.Errorf("standings (-want +got):\n%s", diff)
			}
		})
	}
}

// A ledger that holds a statement in a pinned builder's name which that builder
// did not sign is refused as a whole.
func TestForgedEvidence(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	l.Attest(alice, verifytest.Digest(1))
	real := verifytest.Sign(t, bob, &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: verifytest.Output, Digest: verifytest.Digest(7)}},
	})
	forged := strings.Replace(string(real), bob.Public().Hint(), alice.Public().Hint(), 1)
	if forged == string(real) {
		t.Fatal("the bundle does not contain the hint as expected")
	}
	l.Append(ledger.Attestation, []byte(forged))
	if _, err := evidenceOf(t, l, l.Pins()); !errors.Is(err, verify.ErrForged) {
		t.Errorf("got %v, want ErrForged", err)
	}
}

// TestOtherLedgersStatement: a statement for other ledgers is shown, does not count, and
// is no forgery.
func TestOtherLedgersStatement(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	for _, audience := range []string{"other.example/log", l.Key.Verifier().Name()} {
		l.Append(ledger.Addressed, verifytest.Sign(t, alice, &attestation.Statement{
			Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File, Audience: []string{audience},
			Subjects: []attestation.Subject{{Name: verifytest.Output, Digest: verifytest.Digest(7)}},
			Builds: []attestation.Build{{
				Name: verifytest.Build, Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild,
			}},
		}))
	}
	e, err := evidenceOf(t, l, l.Pins())
	if err != nil {
		t.Fatal(err)
	}
	var standings []verify.Standing
	for _, c := range e.Claims {
		standings = append(standings, c.Standing)
	}
	if diff := cmp.Diff([]verify.Standing{verify.Elsewhere, verify.Counts}, standings); diff != "" {
		t.Errorf("standings (-want +got):\n%s", diff)
	}
}

func TestDecide(t *testing.T) {
	one, two := verifytest.Digest(1), verifytest.Digest(2)
	l := verifytest.NewLedger(t)
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	l.Attest(alice, one)
	l.Attest(bob, one)
	e, err := evidenceOf(t, l, l.Pins())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		quorum int
		digest *attestation.Digest
		want   verify.Finding
	}{
		{1, nil, verify.Accepted},
		{2, nil, verify.Accepted},
		{3, nil, verify.Insufficient},
		{2, &one, verify.Accepted},
		{2, &two, verify.Mismatch},
		{2, &attestation.Digest{}, verify.Mismatch},
		{3, &two, verify.Insufficient},
	} {
		if got := e.Decide(test.quorum, test.digest); got != test.want {
			t.Errorf("quorum %d, digest %s: %s, want %s", test.quorum, test.digest, got, test.want)
		}
	}
	l.Attest(bob, two)
	if e, err = evidenceOf(t, l, l.Pins()); err != nil {
		t.Fatal(err)
	}
	if got := e.Decide(2, &one); got != verify.Diverged {
		t.Errorf("bob contradicts himself: %s, want %s", got, verify.Diverged)
	}
}
