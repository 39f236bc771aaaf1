package index_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/replay"
	"repronet.dev/signing/signingtest"
)

// certify enrols a person with an OpenPGP key for the project "demo".
func (w *world) certify(operator string) *openpgptest.Person {
	w.t.Helper()
	p := openpgptest.NewPerson(w.t, operator, w.now)
	w.log.attachments[p.Sum()] = p.Bytes()
	e := enrolment.Enrolment{
		Builder: p.Builder(), Operator: operator, Tier: enrolment.Counted,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: p.Fingerprint(), Project: "demo", Certificate: p.Sum()},
	}
	w.append(ledger.Enrolment, must(e.Encode()))
	return p
}

// sums appends a checksum document that a person signed.
func (w *world) sums(p *openpgptest.Person, text string) {
	w.append(ledger.OpenPGPSums, p.Sign("demo", text, w.now))
}

func (w *world) erase(sum attestation.Digest) uint64 {
	return w.append(ledger.Erased, must((&enrolment.Erasure{Attachment: sum, Reason: "asked for"}).Encode()))
}

// line is a line of a checksum document.
func line(digit byte, name string) string {
	return string(bytes.Repeat([]byte{digit}, 64)) + "  " + name + "\n"
}

// said reads an index as far as documents and statements decide it.
func said(t *testing.T, s *store.Store) *result {
	t.Helper()
	got, err := read(t.Context(), s.Current())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestErasure: an index that saw a certificate and then that it was erased, one
// that begins when its bytes are gone, one that is behind when they go, and a
// replay without them say the same, in which the certificate never was.
func TestErasure(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.certify("alice"), w.certify("bob")
	bobs := bob.Sum()
	w.sums(alice, line('a', "one")+line('a', "two"))
	w.sums(bob, line('a', "one")+line('b', "two"))
	w.now = w.now.Add(24 * time.Hour)
	contact := attestation.Digest{7}
	joined := enrolment.Enrolment{
		Builder: signingtest.Named("carol").Public().Builder(), PublicKey: signingtest.Named("carol").Public().DER(),
		Operator: "carol", Tier: enrolment.Counted, Endorsement: contact,
	}
	w.append(ledger.Enrolment, must(joined.Encode()))

	live, slow := openStore(t), openStore(t)
	x := newIndex(t, index.Config{MaxEntries: 2}, live, w.log)
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	behind := prefix{w.log, 3}
	if err := newIndex(t, index.Config{}, slow, behind).CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, generation := said(t, live), live.Current()
	if got := before.Outputs[name("release", "demo/one")].Judgement.Verdict; got != divergence.Reproduced {
		t.Fatalf("before: %s", got)
	}

	w.erase(contact) // decides nothing
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if live.Current() != generation {
		t.Error("an erasure that decides nothing made the index anew")
	}
	if diff := cmp.Diff(before.Outputs, said(t, live).Outputs, sameResult); diff != "" {
		t.Errorf("erasing a contact changed verdicts:\n%s", diff)
	}

	w.erase(bobs)
	delete(w.log.attachments, bobs)
	w.erase(attestation.Digest{9}) // of something that nobody knows
	w.append(ledger.Erased, []byte("nonsense"))
	w.sums(bob, line('c', "one"))
	w.erase(bobs) // again
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := said(t, live)
	one, two := want.Outputs[name("release", "demo/one")], want.Outputs[name("release", "demo/two")]
	if one.Judgement.Verdict != divergence.Single || two.Judgement.Verdict != divergence.Single || len(one.Changes) != 1 || len(two.Changes) != 1 {
		t.Errorf("afterwards: %+v, %+v", one, two)
	}
	if want.Watermark.Size != w.log.Size() || want.Watermark.Operators != 1 || want.Watermark.Observations != 2 {
		t.Errorf("afterwards: %+v", want.Watermark)
	}
	if err := x.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*store.Store{"made anew": live, "behind": slow, "begun afterwards": openStore(t)} {
		if s != live {
			if err := newIndex(t, index.Config{}, s, w.log).CatchUp(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if diff := cmp.Diff(want, said(t, s), sameResult); diff != "" {
			t.Errorf("an index %s differs:\n%s", name, diff)
		}
	}
	w.replayed(want)
}

// replayed compares what an index says of outputs with a replay.
func (w *world) replayed(want *result) {
	t := w.t
	t.Helper()
	l := replay.Ledger{Tree: records{w.log}, Size: w.log.Size()}
	for i, e := range w.log.entries {
		switch e.Kind {
		case ledger.Enrolment, ledger.Revocation:
			l.Roster = append(l.Roster, uint64(i))
		case ledger.Erased:
			l.Erased = append(l.Erased, uint64(i))
		default:
		}
	}
	r, err := replay.Read(t.Context(), replay.Config{Dir: t.TempDir(), Attachment: w.log.Attachment}, l)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Erased != 3 {
		t.Errorf("%d erased", r.Erased)
	}
	got := judgedBy(t, r)
	for n, o := range want.Outputs {
		ecosystem, key := split(n)
		same := got[attestation.NewOutputID(ecosystem, key)]
		o.Claims = nil
		if diff := cmp.Diff(o, same, sameResult); diff != "" {
			t.Errorf("%s (-index +replay):\n%s", n, diff)
		}
	}
	// Without the entries that erase, the missing bytes are an error.
	l.Erased = nil
	if _, err := replay.Read(t.Context(), replay.Config{Dir: t.TempDir(), Attachment: w.log.Attachment}, l); err == nil {
		t.Error("a replay that knows of no erasure passes")
	}
	missing := prefix{w.log, l.Roster[1] + 3}
	if err := newIndex(t, index.Config{}, openStore(t), missing).CatchUp(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an index without the bytes and without the erasure: %v", err)
	}
}
