package aggregator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/aggregator/query"
	"repronet.dev/api"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
)

// submitted is what became of a text, and the signature that it was submitted with.
type submitted struct {
	*ingest.Kept
	signature []byte
}

func (w *world) submit(kind ledger.Kind, p *openpgptest.Person, text string) submitted {
	w.t.Helper()
	signed := &openpgp.Signed{Project: "demo", Text: []byte(text), Signature: p.Detached(text, time.Now())}
	kept, problem := w.ingest.SubmitEvidence(w.t.Context(), kind, must(signed.Encode()))
	if problem != nil {
		w.t.Fatal(problem)
	}
	if kept.Reason != "" {
		w.t.Errorf("kept as %s: %s", kept.State, kept.Reason)
	}
	return submitted{kept, signed.Signature}
}

// largeSums is a text of checksums of some 500 KiB, which no entry can hold.
func largeSums(seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for i := 0; b.Len() < 500<<10; i++ {
		fmt.Fprintf(&b, "%016x%016x%016x%016x  packages/x86_64/demo-component-%05d-1.0.tar.gz\n", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64(), i)
	}
	return b.String()
}

// TestLargeTexts: documents of 500 KiB are taken, once, found under all their outputs,
// and judged alike by the index and by a stranger's replay, whose mirror brings the
// texts with it.
func TestLargeTexts(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob := w.certify("alice"), w.certify("bob")
	text := largeSums(1)
	first := w.submit(ledger.SignedSums, alice, text)
	w.submit(ledger.SignedSums, bob, strings.Replace(text, text[:64], largeSums(2)[:64], 1))
	assertion := func(digit, base string) string {
		return "name: demo\nout_manifest: |\n  " + strings.Repeat(digit, 64) + "  demo.tar.gz\nin_manifest: |\n  git:" + strings.Repeat("c", 40) + " demo\nbase_manifests:\n  sid: |\n    " + strings.Repeat(base, 64) + "  x.deb\n"
	}
	w.submit(ledger.GitianAssert, alice, assertion("a", "1"))
	w.submit(ledger.GitianAssert, bob, assertion("b", "1"))
	size := w.log.Size()
	same := must((&openpgp.Signed{Project: "demo", Text: []byte(text), Signature: first.signature}).Encode())
	if again, problem := w.ingest.SubmitEvidence(t.Context(), ledger.SignedSums, same); problem != nil || !again.Duplicate || again.Index != first.Index || w.log.Size() != size {
		t.Errorf("the same again: %+v, %v", again, problem)
	}
	entry := must(w.ledger.Entry(t.Context(), first.Index))
	signed := must(openpgp.ParseSigned(entry.Body))
	if !signed.Detached() || signed.Size != len(text) {
		t.Fatalf("the entry has its text within: %d bytes", len(entry.Body))
	}
	rows := openpgp.ParseRows("demo", []byte(text))
	if keys := must(outputmap.Keys(first.Index, entry)); len(keys) != len(rows.Claims) || len(keys) < 4000 {
		t.Errorf("%d keys of %d rows", len(keys), len(rows.Claims))
	}
	w.settle()
	if err := w.index.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := w.mirror()
	if err := w.compare(m); err != nil {
		t.Error(err)
	}
	if got := must(w.store.Current().Watermark(t.Context())); got.Observations < uint64(2*len(rows.Claims)+2) {
		t.Errorf("the index: %+v", got)
	}
	// Both builders of the assertion had the same inputs: the difference is their own.
	output := must(query.New(w.store, w.ledger, w.index).Output(t.Context(), "demo/demo@"+strings.Repeat("c", 40)+"/demo.tar.gz"))
	if output.Verdict != "diverged" || output.Cause != "own" {
		t.Errorf("%s, of cause %q", output.Verdict, output.Cause)
	}
}

// TestNamedTextIsRefused: only the ledger's writer makes a text an attachment.
func TestNamedTextIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.certify("alice")
	text := strings.Repeat("a", 64) + "  x\n"
	whole := &openpgp.Signed{Project: "demo", Text: []byte(text), Signature: alice.Detached(text, time.Now())}
	_, err := w.ingest.SubmitEvidence(t.Context(), ledger.SignedSums, must(whole.Detach([]string{"demo/x"}).Encode()))
	if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != 400 || !strings.Contains(problem.Detail, "send the text itself") {
		t.Errorf("%v", err)
	}
}
