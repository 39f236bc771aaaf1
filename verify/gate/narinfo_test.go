package gate

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/ledger"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

func TestNarinfo(t *testing.T) {
	nar := content(100)
	good, other := attestation.Digest(sha256.Sum256(nar)), verifytest.Digest(9)
	for _, test := range []struct {
		name    string
		happens func(w *world)
		finding verify.Finding
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

// TestProvenByName: a source passes without a builder's word, if it is what its name
// says; the NAR of another does not.
func TestProvenByName(t *testing.T) {
	const source = "/nix/store/qakfbqxjli75b8j3cfhr650a7pc7famr-plain-source"
	// As Nix 2.8 adds a directory with one small file; without the field CA.
	narinfo := []byte("StorePath: " + source + "\nURL: nar/s.nar\nCompression: none\n" +
		"NarHash: sha256:128rg0brhgszpchn2a17nf4lsll6q8cs21xwczjhrr51cxf0ambq\nNarSize: 128\nReferences: \n")
	w := newWorld(t)
	file := ecosystem.StoreHash(source) + ".narinfo"
	w.cache[file] = serve(narinfo)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if response, body, err := w.get(file); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s (%v)", response.Status, body, err)
	}
	another := bytes.Replace(narinfo, []byte("0ambq"), []byte("0ambp"), 1)
	w.cache[file] = serve(another)
	if response, body, _ := w.get(file); bytes.Equal(another, narinfo) || response.StatusCode != http.StatusNotFound {
		t.Errorf("another NAR under the name: %s: %s", response.Status, body)
	}
}

// TestRewritten: of what upstream signed nothing changes, and the NAR comes by
// the new URL.
func TestRewritten(t *testing.T) {
	w := newWorld(t)
	nar := content(100)
	w.agreed(nar, "none", nar)
	_, body, _ := w.get(pathHash + ".narinfo")
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
