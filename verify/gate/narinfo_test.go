package gate

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"

	"repronet/attestation"
	"repronet/ledger"
	"repronet/verify"
	"repronet/verify/verifytest"
)

func TestNarinfo(t *testing.T) {
	nar := content(100)
	good, other := attestation.Digest(sha256.Sum256(nar)), verifytest.Digest(9)
	for _, test := range []struct {
		name    string
		happens func(w *world)
		finding verify.Decision
		text    string
	}{
		{"two agree", func(w *world) { w.attest("alice", good); w.attest("bob", good) }, "", "Sig: k-1:AAAA"},
		{"nobody", func(*world) {}, verify.Insufficient, path + "\ninsufficient: no trusted operator"},
		{"one", func(w *world) { w.attest("alice", good) }, verify.Insufficient, "1 of the 2 operators"},
		{"they diverge", func(w *world) { w.attest("alice", good); w.attest("bob", other) }, verify.Diverged, "by bob"},
		{"two against one", func(w *world) { w.attest("alice", good); w.attest("bob", good); w.attest("carol", other) }, verify.Diverged, "by carol"},
		{"they agree on another", func(w *world) { w.attest("alice", other); w.attest("bob", other) }, verify.Mismatch, other.String()},
		{"forged", func(w *world) {
			w.attest("alice", good)
			bundle := verifytest.Sign(t, w.builders["carol"], &attestation.Statement{
				Type: attestation.Withdraw, Ecosystem: "nix", DigestKind: attestation.NAR,
				Subjects: []attestation.Subject{{Name: path, Digest: good}},
			})
			w.ledger.Append(ledger.Attestation, []byte(strings.Replace(string(bundle), w.builders["carol"].Public().Hint(), w.builders["bob"].Public().Hint(), 1)))
		}, invalid, "forged evidence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.offer(nar, "none", nar)
			test.happens(w)
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.want(test.finding, test.text)
		})
	}
}

// TestRewritten: of what upstream signed nothing changes, and the NAR comes by
// the new URL.
func TestRewritten(t *testing.T) {
	w := newWorld(t)
	nar := content(100)
	w.agreed(nar, "none", nar)
	_, body, _ := w.get(hash + ".narinfo")
	want := strings.Replace(narinfoOf(nar, "none", nar), "nar/x.nar", narURL(nar), 1)
	if string(body) != want {
		t.Errorf("got\n%swant\n%s", body, want)
	}
	response, got, err := w.get(narURL(nar))
	if err != nil || !bytes.Equal(got, nar) || response.ContentLength != int64(len(nar)) {
		t.Errorf("%s, %d bytes of %d, %v", response.Status, len(got), len(nar), err)
	}
	// The evidence changes between the narinfo and the NAR.
	w.attest("carol", verifytest.Digest(9))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if response, _, _ := w.get(narURL(nar)); response.StatusCode != http.StatusNotFound || response.Header.Get("Repronet-Refused") != "diverged" {
		t.Errorf("after dissent: %s", response.Status)
	}
}
