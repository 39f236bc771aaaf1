package verify_test

import (
	"testing"

	"repronet.dev/enrolment"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// A revocation can take claims away that counted. That it came later is part of
// the answer.
func TestBackdatedRevocationIsVisible(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	l.Attest(alice, verifytest.Digest(1))
	claimed := l.Attest(bob, verifytest.Digest(1))
	at := l.Revoke(bob.Public().Builder(), claimed)
	pins := l.Pins()
	after := l.Attest(bob, verifytest.Digest(2)) // which no aggregator would take
	evidence, err := evidenceOf(t, l, pins)
	if err != nil {
		t.Fatal(err)
	}
	backdated := map[uint64]bool{claimed: true, after: false}
	found := 0
	for _, c := range evidence.Claims {
		if c.Builder != bob.Public().Builder() {
			continue
		}
		found++
		if c.Standing != verify.Revoked || c.RevokedAt != at || (c.RevokedAt > c.Index) != backdated[c.Index] {
			t.Errorf("the claim at %d is %s by the revocation at %d, which is at %d", c.Index, c.Standing, c.RevokedAt, at)
		}
	}
	if found != 2 {
		t.Errorf("%d claims of the revoked builder", found)
	}
}

// One that holds from itself on takes nothing away that was said before, however
// it says so.
func TestRevocationFromNow(t *testing.T) {
	l := verifytest.NewLedger(t)
	bob := l.Enrol("bob")
	l.Attest(bob, verifytest.Digest(1))
	l.Revoke(bob.Public().Builder(), enrolment.FromNow)
	pins := l.Pins()
	l.Attest(bob, verifytest.Digest(2))
	evidence, err := evidenceOf(t, l, pins)
	if err != nil {
		t.Fatal(err)
	}
	if c := evidence.Claims; len(c) != 2 || c[0].Standing != verify.Counts || c[1].Standing != verify.Revoked {
		t.Errorf("claims %+v", c)
	}
}

// What a builder said before its key was revoked counts for those as well who pin the
// builders only afterwards.
func TestPinnedAfterRevocation(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, bob, eve := l.Enrol("alice"), l.Enrol("bob"), l.Enrol("eve")
	l.Attest(alice, verifytest.Digest(1))
	l.Attest(bob, verifytest.Digest(1))
	l.Attest(eve, verifytest.Digest(2))
	at := l.Revoke(bob.Public().Builder(), enrolment.FromNow)
	l.Revoke(eve.Public().Builder(), 0) // nothing of hers counts
	late := l.Attest(bob, verifytest.Digest(3))
	pinned, err := checkBuilders(t, l, l.Handler(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(pinned) != 2 || pinned[0].RevokedFrom != nil || pinned[1].RevokedFrom == nil || *pinned[1].RevokedFrom != at {
		t.Fatalf("pinned %+v; the revocation is at %d", pinned, at)
	}
	pins := l.Pins()
	pins.Builders = pinned
	file := t.TempDir() + "/pins.json"
	if err := pins.Save(file); err != nil {
		t.Fatal(err)
	}
	if pins, err = verify.LoadPins(file); err != nil {
		t.Fatal(err)
	}
	evidence, err := evidenceOf(t, l, pins)
	if err != nil {
		t.Fatal(err)
	}
	if d := evidence.Decide(2, nil); d != verify.Accepted {
		t.Errorf("decided %v", d)
	}
	for _, c := range evidence.Claims {
		if revoked := c.Standing == verify.Revoked; revoked != (c.Index == late) || revoked && c.RevokedAt != at {
			t.Errorf("claim %+v", c)
		}
	}
}
