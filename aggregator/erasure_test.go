package aggregator

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/admin"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
)

// certify enrols a person with an OpenPGP key for the project "demo".
func (w *world) certify(operator string) *openpgptest.Person {
	w.t.Helper()
	p := openpgptest.NewPerson(w.t, operator, time.Now())
	sum := must(w.Attach(w.t.Context(), bytes.NewReader(p.Bytes())))
	if _, err := w.Enrol(w.t.Context(), &enrolment.Enrolment{
		Builder: p.Builder(), Operator: operator, Tier: enrolment.Counted,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: p.Fingerprint(), Project: "demo", Certificate: sum},
	}); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// relay submits a checksum document that a person signed, and returns whether it
// counts.
func (w *world) relay(p *openpgptest.Person, digit, file string) bool {
	w.t.Helper()
	body := p.Sign("demo", strings.Repeat(digit, 64)+"  "+file+"\n", time.Now())
	kept, problem := w.ingest.SubmitEvidence(w.t.Context(), ledger.OpenPGPSums, body)
	if problem != nil {
		w.t.Fatal(problem)
	}
	return kept.Reason == ""
}

func (w *world) status(path string) int {
	w.t.Helper()
	request := must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil))
	response := must(http.DefaultClient.Do(request))
	response.Body.Close()
	return response.StatusCode
}

// TestErase erases a certificate of a running server: its bytes are gone and do
// not come back, nothing that it signed counts, and a stranger who replays comes
// to what is published, whether he has a copy of the bytes or not.
func TestErase(t *testing.T) {
	data := t.TempDir()
	w := newWorld(t, func(c *Config) { c.Data = data })
	alice := w.certify("alice")
	bob := w.certify("bob")
	sum := bob.Sum()
	if !w.relay(alice, "a", "one") || !w.relay(bob, "a", "one") || !w.relay(bob, "b", "two") {
		t.Fatal("the documents do not count")
	}
	w.publish("stable", 3)
	w.settle()
	m := w.mirror()
	if err := w.compare(m); err != nil { // which fetches the certificates
		t.Fatal(err)
	}
	file := "/attachments/sha256/" + sum.Hex()
	kept := filepath.Join(w.ledgerDir(), file)
	packets := must(os.ReadFile(kept))

	// What cannot be erased.
	set := must(pkgset.ParseEntry(must(w.ledger.Entry(t.Context(), w.log.Size()-1)).Body)).SHA256
	for name, other := range map[string]attestation.Digest{"a package set": set, "nothing": {1}} {
		if _, err := w.Erase(t.Context(), other, "asked for"); err == nil || !strings.Contains(err.Error(), "no enrolment names") {
			t.Errorf("erasing %s: %v", name, err)
		}
	}
	size := w.log.Size()
	server := must(admin.Dial(t.Context(), SocketPath(data)))
	erasure := admin.Erasure{Attachment: sum, Reason: "asked for"}
	written, err := admin.Erase.Do(t.Context(), server, erasure)
	if err != nil || written.Index != size {
		t.Fatalf("erasing: index %d, %v", written.Index, err)
	}
	if _, err := admin.Erase.Do(t.Context(), server, erasure); err == nil || !strings.Contains(err.Error(), "was erased before") {
		t.Errorf("erasing again: %v", err)
	}
	if w.log.Size() != size+1 {
		t.Errorf("%d entries for one erasure", w.log.Size()-size)
	}

	if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if got := w.status("/log" + file); got != http.StatusGone {
		t.Errorf("GET of the attachment: %d", got)
	}
	if got := w.status("/log/attachments/sha256/" + attestation.Digest{1}.Hex()); got != http.StatusNotFound {
		t.Errorf("GET of one that never was: %d", got)
	}
	if _, err := admin.Attach.DoWith(t.Context(), server, admin.None{}, admin.Streams{Input: bytes.NewReader(packets)}); err == nil || !strings.Contains(err.Error(), "erased") {
		t.Errorf("storing the bytes again: %v", err)
	}
	if w.relay(bob, "c", "three") {
		t.Error("a document by the erased certificate counts")
	}
	builders := must(admin.Builders.Do(t.Context(), server, admin.None{}))
	if c := builders[1].OpenPGP[0]; !c.Erased || builders[0].OpenPGP[0].Erased {
		t.Errorf("the list of builders: %+v", builders)
	}

	w.settle()
	stranger := must(verify.Dial(w.url))
	pins := must(stranger.Builders(t.Context(), must(stranger.BuilderList(t.Context(), w.verifier()))))
	if len(pins) != 1 || pins[0].Operator != "alice" {
		t.Errorf("a stranger pins %+v", pins)
	}
	if got := must(w.store.Current().Watermark(t.Context())); got.Observations != 1 || got.Operators != 1 {
		t.Errorf("the index: %+v", got)
	}
	fresh := w.mirror()
	w.update(m)
	for name, m := range map[string]*verify.Mirror{"with a copy": m, "without": fresh} {
		if err := w.compare(m); err != nil {
			t.Errorf("replay %s: %v", name, err)
		}
		if r := w.replay(m); r.Erased != 1 {
			t.Errorf("replay %s: %d erased", name, r.Erased)
		}
		if _, err := m.Attachments()(t.Context(), sum); !errors.Is(err, ledger.ErrErased) {
			t.Errorf("the copy %s: %v", name, err)
		}
	}
	if err := w.index.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.compare(m); err != nil {
		t.Errorf("after reindexing: %v", err)
	}
}

// TestEraseAfterCrash: the process ends between the entry and the deletion, or after
// it; the next one deletes before it takes anything, and reads documents that nobody
// indexed as if the certificate had never been there.
func TestEraseAfterCrash(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		t.Run(fmt.Sprintf("deleted %t", deleted), func(t *testing.T) { eraseAfterCrash(t, deleted) })
	}
}

func eraseAfterCrash(t *testing.T, deleted bool) {
	data := t.TempDir()
	var bob *openpgptest.Person
	var config Config
	t.Run("before", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Data = data })
		bob, config = w.certify("bob"), w.config
		if !w.relay(bob, "a", "one") {
			t.Fatal("the document does not count")
		}
		w.settle()
	})
	kept := filepath.Join(data, "ledger/attachments/sha256", bob.Sum().Hex())
	// Nothing indexes these.
	a := must(Open(t.Context(), config, Dependencies{Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}))
	for _, entry := range []struct {
		kind ledger.Kind
		body []byte
	}{
		{ledger.OpenPGPSums, bob.Sign("demo", strings.Repeat("b", 64)+"  two\n", time.Now())},
		{ledger.Erased, must((&enrolment.Erasure{Attachment: bob.Sum(), Reason: "asked for"}).Encode())},
	} {
		if _, err := a.log.Append(t.Context(), entry.kind, entry.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Fatal(err)
	}
	if deleted {
		if err := os.Remove(kept); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, func(c *Config) { c.Data = data })
	if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	w.settle()
	if got := must(w.store.Current().Watermark(t.Context())); got.Observations != 0 {
		t.Errorf("the index: %+v", got)
	}
	if err := w.compare(w.mirror()); err != nil {
		t.Error(err)
	}
	if got := w.status("/log/attachments/sha256/" + bob.Sum().Hex()); got != http.StatusGone {
		t.Errorf("GET of the attachment: %d", got)
	}
	if _, err := w.Erase(t.Context(), bob.Sum(), "again"); err == nil {
		t.Error("erased twice")
	}
}

// TestMissingAttachment: an attachment that the aggregator lost, and did not
// erase, convicts it.
func TestMissingAttachment(t *testing.T) {
	w := newWorld(t, nil)
	sum := w.certify("bob").Sum()
	w.settle()
	m := w.mirror()
	if err := os.Remove(filepath.Join(w.ledgerDir(), "attachments/sha256", sum.Hex())); err != nil {
		t.Fatal(err)
	}
	_, err := w.readReplay(m)
	if !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), "no entry erased it") {
		t.Errorf("got %v", err)
	}
}
