package aggregator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/query"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
)

func (w *world) output(n int) *dashboard.Output {
	w.t.Helper()
	w.settle()
	o, err := query.New(w.store, w.ledger, w.index).Output(w.t.Context(), outputName(n))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) verdict(n int, want string, operators int) {
	w.t.Helper()
	if o := w.output(n); string(o.Verdict) != want || int(o.Operators) != operators {
		w.t.Errorf("output %d is %s by %d operators, want %s by %d", n, o.Verdict, o.Operators, want, operators)
	}
}

// A hundred free accounts and a hundred keys move no verdict: not on what others
// built, and not on what nobody else did. Who is vouched for does.
func TestAHundredFreeAccountsMoveNoVerdict(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob := w.enrol("alice"), w.enrol("bob")
	w.attest(alice, 0, 1, 1)
	w.attest(bob, 0, 1, 1)
	var mallory *signing.Signer
	for n := range 100 {
		mallory = w.enrolAs(fmt.Sprintf("id-free%d", n), enrolment.Open)
		w.attest(mallory, 0, 2, 9)
		w.attest(w.enrolAs("id-one", enrolment.Open), 0, 2, 9)
	}
	w.verdict(0, "reproduced", 2)
	w.verdict(1, "unbuilt", 0)
	if claims := w.output(1).Claims; len(claims) != 200 || claims[0].Counts || claims[0].Status != "open" {
		t.Errorf("output 1 has %d claims", len(claims))
	}
	// All keys of one operator that is vouched for are one voice.
	if moved, _, err := w.Vouch(t.Context(), "id-one"); err != nil || len(moved) != 100 {
		t.Fatalf("moved %d, %v", len(moved), err)
	}
	w.verdict(1, "single", 1)
	w.verdict(0, "diverged", 3)
	if _, _, err := w.Vouch(t.Context(), string(mallory.Public().Builder())); err != nil {
		t.Fatal(err)
	}
	w.verdict(1, "reproduced", 2)
	if err := w.compare(w.mirror()); err != nil {
		t.Errorf("a replay: %v", err)
	}
}

// A revocation that takes back what counted is seen as what it is, and rewrites
// nothing that was before it.
func TestBackdatedRevocation(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob := w.enrol("alice"), w.enrol("bob")
	first := w.attest(alice, 0, 1, 1)
	second := w.attest(bob, 0, 1, 1)
	before := w.output(0).History
	from := uint64(0)
	at, err := w.Revoke(t.Context(), bob.Public().Builder(), &from, "never was independent")
	if err != nil {
		t.Fatal(err)
	}
	after := w.output(0).History
	indices := func(changes []dashboard.Change) (list []uint64) {
		for _, c := range changes {
			list = append(list, c.Index)
		}
		return list
	}
	if diff := cmp.Diff([]uint64{first, second, at}, indices(after)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, after[:len(before)]); diff != "" {
		t.Errorf("the past changed (-want +got):\n%s", diff)
	}
	published, err := w.Builders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b := published[1]; b.RevokedFrom == nil || *b.RevokedFrom != 0 || b.RevokedAt == nil || *b.RevokedAt != at {
		t.Errorf("published %+v", b)
	}
	shown, err := query.New(w.store, w.ledger, w.index).Builder(t.Context(), bob.Public().Builder())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(shown.Flags, "back-dated") || shown.RevokedAt == nil || *shown.RevokedAt != at {
		t.Errorf("shown %+v", shown)
	}
	// One that holds from itself on is not back-dated.
	if _, err := w.Revoke(t.Context(), alice.Public().Builder(), nil, "lost"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if shown, err = query.New(w.store, w.ledger, w.index).Builder(t.Context(), alice.Public().Builder()); err != nil || slices.Contains(shown.Flags, "back-dated") {
		t.Errorf("shown %+v, %v", shown, err)
	}
	w.verdict(0, "single", 1)
}
