package verify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"repronet.dev/divergence"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// TestErasedCertificate: a pinned certificate that the ledger erased counts no
// more, although the user has its bytes, and the copy of the ledger deletes it.
func TestErasedCertificate(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, alicePin := l.Certify("alice")
	bob, bobPin := l.Certify("bob")
	l.Sums(alice, strings.Repeat("a", 64)+"  file\n")
	l.Sums(bob, strings.Repeat("a", 64)+"  file\n")
	l.Publish()
	pins := l.Pins(l.Serve())
	pins.Pin(alicePin)
	pins.Pin(bobPin)
	dir := t.TempDir()
	m := openMirror(t, dir, l)
	defer closeMirror(t, m)
	judge := func(want divergence.Verdict) {
		t.Helper()
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Fatal(err)
		}
		e, err := m.Evidence(t.Context(), pins, "release", verifytest.Project+"/file")
		if err != nil || e.Judgement.Verdict != want {
			t.Fatalf("%+v, %v; want %s", e, err, want)
		}
	}
	judge(divergence.Reproduced)
	read := m.Attachments(ledger.Dir(l.Dir))
	for _, p := range []*openpgptest.Person{alice, bob} {
		if data, err := read(t.Context(), p.Sum()); err != nil || !slices.Equal(data, p.Bytes()) {
			t.Fatal(err)
		}
	}
	at := l.Erase(bob.Sum())
	l.Append(ledger.Erased, []byte("nonsense"))
	l.Publish()
	judge(divergence.Single)
	if got, err := m.Erasures(); err != nil || !slices.Equal(got, []uint64{at, at + 1}) {
		t.Errorf("erasures %v, %v", got, err)
	}
	if _, err := m.Attachments()(t.Context(), bob.Sum()); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("the copy has bob's certificate: %v", err)
	}
	if _, err := ledger.FetchAttachment(t.Context(), ledger.Dir(dir), ledger.AttachmentID(bob.Sum())); err == nil {
		t.Error("the file is still there")
	}
	if _, err := m.Attachments()(t.Context(), alice.Sum()); err != nil {
		t.Errorf("the copy lost alice's certificate: %v", err)
	}
}

// TestAttachmentsFromSeveral: an attachment is taken from the first that has it; one
// that none has convicts the ledger, but only if all could be asked.
func TestAttachmentsFromSeveral(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, _ := l.Certify("alice")
	bob, _ := l.Certify("bob")
	l.Publish()
	pins := l.Pins(l.Serve())
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	l.Lose(bob.Sum())
	unreachable, err := verify.Dial("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	empty, full := ledger.Dir(t.TempDir()), ledger.Dir(l.Dir)
	if _, err := m.Attachments(unreachable.Log(), empty, full)(t.Context(), alice.Sum()); err != nil {
		t.Errorf("from the last: %v", err)
	}
	if _, err := m.Attachments(empty, full)(t.Context(), bob.Sum()); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("from none: %v", err)
	}
	if _, err := m.Attachments(unreachable.Log(), full)(t.Context(), bob.Sum()); err == nil || errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("not all asked: %v", err)
	}
	if _, err := m.Attachments()(t.Context(), bob.Sum()); err == nil || errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("nobody asked: %v", err)
	}
}
