package verify_test

import (
	"strings"
	"testing"

	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/verify/verifytest"
)

// TestTextsThatAreAttachments: a mirror brings the texts of documents with it, and
// judges by them without the network.
func TestTextsThatAreAttachments(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, alicePin := l.Certify("alice")
	bob, bobPin := l.Certify("bob")
	const output = verifytest.Project + "/file"
	s := l.SumsApart(alice, strings.Repeat("a", 64)+"  file\n", output)
	l.SumsApart(bob, strings.Repeat("b", 64)+"  file\n", output)
	l.SumsApart(bob, strings.Repeat("c", 64)+"  file\n", verifytest.Project+"/another") // its text names other outputs: no evidence
	l.Append(ledger.SignedSums, []byte("nonsense"))
	l.Publish()
	pins := l.Pins(l.Serve())
	pins.Pin(alicePin)
	pins.Pin(bobPin)
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	if text, err := m.Attachments()(t.Context(), s.Attachment); err != nil || len(text) != s.Size {
		t.Errorf("the text in the mirror: %q, %v", text, err)
	}
	e, err := m.Evidence(t.Context(), pins, "release", output)
	if err != nil || e.Judgement.Verdict != divergence.Diverged || len(e.Claims) != 2 {
		t.Errorf("%+v, %v", e, err)
	}
	e, err = m.Evidence(t.Context(), pins, "release", verifytest.Project+"/another")
	if err != nil || e.Judgement.Verdict != divergence.Unbuilt {
		t.Errorf("a document about other outputs than it names: %+v, %v", e, err)
	}
}

// TestTextThatIsNotThere: a mirror does not go on past a document whose text no log
// has, since it could not judge by it.
func TestTextThatIsNotThere(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, pin := l.Certify("alice")
	s := l.SumsApart(alice, strings.Repeat("a", 64)+"  file\n", verifytest.Project+"/file")
	l.Lose(s.Attachment)
	l.Publish()
	pins := l.Pins(l.Serve())
	pins.Pin(pin)
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err == nil || !strings.Contains(err.Error(), "the text of the document at ledger index 1") {
		t.Errorf("error %v", err)
	}
}
