package reading_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

func isRefused(err error) bool {
	_, ok := errors.AsType[*reading.Refused](err)
	return ok
}

// certify enrols a person for project one.
func (w *world) certify(name string) *openpgptest.Person {
	w.t.Helper()
	p := openpgptest.NewPerson(w.t, name, now)
	w.attachments[p.Sum()] = p.Bytes()
	body, err := (&enrolment.Enrolment{
		Builder: p.Builder(), Operator: name, Tier: enrolment.Counted,
		OpenPGP: &enrolment.OpenPGP{Fingerprint: p.Fingerprint(), Project: "one", Certificate: p.Sum()},
	}).Encode()
	if err == nil {
		_, _, err = w.roster.Apply(w.next, ledger.Enrolment, body)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	return p
}

func signedBy(p *openpgptest.Person, text string) *openpgp.Signed {
	return &openpgp.Signed{Project: "one", Text: []byte(text), Signature: p.Detached(text, now.AddDate(0, -1, 0))}
}

func encode(t *testing.T, s *openpgp.Signed) []byte {
	t.Helper()
	body, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

const assertion = "name: tool\nout_manifest: |\n  " + text + "in_manifest: |\n  git:0123456789012345678901234567890123456789 tool\n"

// TestSignedTexts: a text counts within its entry and as an attachment, and is the
// same evidence.
func TestSignedTexts(t *testing.T) {
	for _, test := range []struct {
		kind         ledger.Kind
		text, output string
	}{
		{ledger.SignedSums, "SHA256 (./file) = " + text[:64] + "\n", "one/file"},
		{ledger.GitianAssert, assertion, "one/tool@0123456789012345678901234567890123456789/file"},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			w := newWorld(t)
			alice := w.certify("alice")
			signed := signedBy(alice, test.text)
			body := encode(t, signed)
			within, err := w.keys.Document(t.Context(), test.kind, body, now)
			if err != nil {
				t.Fatal(err)
			}
			if len(within.Rows) != 1 || within.Rows[0].Output != test.output || len(within.Counted()) != 1 || within.State() != evidence.Valid {
				t.Fatalf("%+v", within)
			}
			if within.Inputs.IsZero() != (test.kind == ledger.SignedSums) {
				t.Errorf("inputs %s", within.Inputs)
			}
			smaller, taken, err := reading.Detach(test.kind, body)
			if err != nil || string(taken) != test.text {
				t.Fatalf("%q, %v", taken, err)
			}
			if _, err := w.keys.Document(t.Context(), test.kind, smaller, now); !errors.Is(err, fs.ErrNotExist) || isRefused(err) {
				t.Errorf("without its attachment: %v", err)
			}
			w.attachments[sha256.Sum256(taken)] = taken
			apart, err := w.keys.Document(t.Context(), test.kind, smaller, now)
			if err != nil || apart.ID != within.ID || len(apart.Counted()) != 1 || apart.Inputs != within.Inputs {
				t.Errorf("as an attachment: %+v, %v", apart, err)
			}
			w.erased = sha256.Sum256(taken)
			if _, err := w.keys.Document(t.Context(), test.kind, smaller, now); !isRefused(err) || !errors.Is(err, ledger.ErrErased) {
				t.Errorf("erased: %v", err)
			}
			if reading.CheckWhole(test.kind, body) != nil || reading.CheckWhole(test.kind, smaller) == nil {
				t.Error("whole and not are not told apart")
			}
		})
	}
}

// TestSignedTextsThatAreNone: nothing of them is kept.
func TestSignedTextsThatAreNone(t *testing.T) {
	w := newWorld(t)
	alice := w.certify("alice")
	other := signedBy(alice, text).Detach([]string{"one/another"})
	w.attachments[other.Attachment] = []byte(text)
	for name, test := range map[string]struct {
		kind ledger.Kind
		body []byte
		want string
	}{
		"no rows":                        {ledger.SignedSums, encode(t, signedBy(alice, "# nothing\n")), "it has no rows"},
		"no usable row":                  {ledger.SignedSums, encode(t, signedBy(alice, "hello\n")), "none of its 1 rows"},
		"checksums as an assertion":      {ledger.GitianAssert, encode(t, signedBy(alice, text)), "neither members"},
		"an assertion without rows":      {ledger.GitianAssert, encode(t, signedBy(alice, strings.Replace(assertion, text, "hello\n", 1))), "none of its 1 rows"},
		"other outputs than it names":    {ledger.SignedSums, encode(t, other), "other outputs"},
		"no signature":                   {ledger.SignedSums, encode(t, &openpgp.Signed{Project: "one", Text: []byte(text), Signature: []byte("x")}), "no block"},
		"a document of the older form":   {ledger.SignedSums, alice.Sign("one", text, now), "does not begin with a line"},
		"of another kind than it is for": {ledger.OpenPGPSums, encode(t, signedBy(alice, text)), "checksum document"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := w.keys.Document(t.Context(), test.kind, test.body, now)
			if !isRefused(err) || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

// TestWeakSignatureIsKeptApart: one that is weak counts for nobody and makes no other
// evidence of a document that says something; alone, it is evidence of its own.
func TestWeakSignatureIsKeptApart(t *testing.T) {
	w := newWorld(t)
	alice := w.certify("alice")
	one, two := signedBy(alice, text), signedBy(alice, strings.Replace(text, "file", "other", 1))
	good, err := w.keys.Document(t.Context(), ledger.SignedSums, encode(t, one), now)
	if err != nil {
		t.Fatal(err)
	}
	weak := func(s *openpgp.Signed) *openpgp.Signed {
		return &openpgp.Signed{Project: s.Project, Text: s.Text, Signature: alice.DetachedSHA1(string(s.Text), now.AddDate(0, -2, 0))}
	}
	both := *one
	both.Signature = slices.Concat(weak(one).Signature, one.Signature)
	e, err := w.keys.Document(t.Context(), ledger.SignedSums, encode(t, &both), now)
	if err != nil || e.ID != good.ID || len(e.Counted()) != 1 || len(e.Signers) != 2 || e.Signers[0].State != evidence.Weak {
		t.Errorf("%+v, %v", e, err)
	}
	ids := map[attestation.Digest]bool{}
	for _, s := range []*openpgp.Signed{weak(one), weak(two)} {
		e, err := w.keys.Document(t.Context(), ledger.SignedSums, encode(t, s), now)
		if err != nil || e.State() != evidence.Weak || len(e.Counted()) != 0 || e.Signers[0].Builder != alice.Builder() || !strings.Contains(e.Reason(), "SHA-1") {
			t.Fatalf("%+v, %v", e, err)
		}
		ids[e.ID] = true
	}
	if len(ids) != 2 {
		t.Error("two documents have one identity")
	}
}
