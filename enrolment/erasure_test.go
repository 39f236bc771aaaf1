package enrolment_test

import (
	"bytes"
	"strings"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
)

func TestParseErasure(t *testing.T) {
	sum := attestation.Digest{1, 2}
	body, err := (&enrolment.Erasure{Attachment: sum, Reason: "asked for"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if e, err := enrolment.ParseErasure(body); err != nil || e.Attachment != sum || e.Reason != "asked for" {
		t.Errorf("%+v, %v", e, err)
	}
	for name, text := range map[string]string{
		"nothing":        ``,
		"no attachment":  `{"reason":"x"}`,
		"upper case":     strings.ToUpper(string(body)),
		"another member": strings.Replace(string(body), `{`, `{"name":"Alice",`, 1),
		"two lines":      strings.Replace(string(body), "asked for", `asked\nfor`, 1),
		"a long reason":  strings.Replace(string(body), "asked for", strings.Repeat("x", 201), 1),
		"a short hash":   `{"attachment":"0102","reason":"x"}`,
	} {
		if e, err := enrolment.ParseErasure([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if _, err := (&enrolment.Erasure{Reason: "x"}).Encode(); err == nil {
		t.Error("an erasure of nothing is encoded")
	}
}

func FuzzParseErasure(f *testing.F) {
	body, err := (&enrolment.Erasure{Attachment: attestation.Digest{1}, Reason: "x"}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := enrolment.ParseErasure(data)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := enrolment.ParseErasure(again); err != nil || *same != *e {
			t.Errorf("%+v becomes %+v, %v", e, same, err)
		}
	})
}

// TestNames: what an enrolment names can be erased, also when a later one of the
// builder names something else.
func TestNames(t *testing.T) {
	r := enrolment.NewRoster()
	k := key(t, 1)
	first, second := attestation.Digest{1}, attestation.Digest{2}
	for i, sum := range []attestation.Digest{first, second} {
		e := enrolment.Enrolment{Builder: k.Builder(), PublicKey: k.DER(), Operator: "alice", Tier: enrolment.Open, Endorsement: sum}
		body, err := e.Encode()
		if err == nil {
			_, _, err = r.Apply(uint64(i), ledger.Enrolment, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for sum, want := range map[attestation.Digest]enrolment.Naming{first: enrolment.NamedOtherwise, second: enrolment.NamedOtherwise, {3}: enrolment.Unnamed, {}: enrolment.Unnamed} {
		if got := r.Names(sum); got != want {
			t.Errorf("%s: %d, want %d", sum, got, want)
		}
	}
	body, err := (&enrolment.Erasure{Attachment: first}).Encode()
	if err != nil || bytes.Contains(body, []byte("alice")) {
		t.Fatal(err)
	}
	if number, rejudge, err := r.Apply(2, ledger.Erased, body); number != 0 || rejudge || err != nil {
		t.Errorf("%d, %t, %v", number, rejudge, err)
	}
}
