package ingest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
)

// badDocument is a third party's document that must be refused.
type badDocument struct {
	input, line  string
	status       int
	kind, detail string // detail: a part of the sentence
}

// badDocuments are the documents that docs/bad-input.md lists.
func badDocuments(t *testing.T, s *server) []badDocument {
	t.Helper()
	c := newCache(t, "cache.example.org-1")
	s.enrol(t, c.enrolment(t, "cache"))
	narinfo := c.narinfo(t, hello, "")
	alice := openpgptest.NewPerson(t, "alice", time.Now())
	line := func(kind ledger.Kind, body []byte) string {
		text, err := json.Marshal(api.Evidence{Kind: kind, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	encode := func(signed *openpgp.Signed) []byte {
		body, err := signed.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	signed := func(kind ledger.Kind, text string, signature []byte) string {
		return line(kind, encode(&openpgp.Signed{Project: "demo", Text: []byte(text), Signature: signature}))
	}
	row := strings.Repeat("ab", 32) + "  demo-1.0.tar.gz\n"
	signature := alice.Detached(row, time.Now())
	older := func(text string) string { return line(ledger.OpenPGPSums, alice.Sign("demo", text, time.Now())) }
	named := (&openpgp.Signed{Project: "demo", Text: []byte(row), Signature: signature}).Detach([]string{"demo/demo-1.0.tar.gz"})
	const malformed, assertion = http.StatusBadRequest, "name: demo\nout_manifest: |\n  %\nin_manifest: |\n  git:0123456789012345678901234567890123456789 demo\n"
	version3 := append([]byte{0xc2, 40, 3, 5}, make([]byte, 38)...) // RFC 4880, section 5.2.2
	return []badDocument{
		{"narinfo of another path", line(ledger.Narinfo, bytes.Replace(narinfo, []byte(hello), []byte(other), 1)), http.StatusForbidden, "bad-signature", "No signature"},
		{"narinfo with another hash", line(ledger.Narinfo, bytes.Replace(narinfo, []byte("0007"), []byte("0008"), 1)), http.StatusForbidden, "bad-signature", "No signature"},
		{"narinfo without a signature", line(ledger.Narinfo, narinfo[:bytes.Index(narinfo, []byte("Sig:"))]), malformed, "malformed", "no signature"},
		{"narinfo whose path leads out of the store", line(ledger.Narinfo, bytes.Replace(narinfo, []byte("/nix/store/"), []byte("/nix/store/../"), 1)), malformed, "malformed", "StorePath"},
		{"narinfo with a field that Nix does not write", line(ledger.Narinfo, append([]byte("Junk: "+strings.Repeat("x", 40000)+"\n"), narinfo...)), malformed, "malformed", `"Junk" is no field`},
		{"narinfo with a long field that is not signed", line(ledger.Narinfo, append([]byte("Deriver: "+strings.Repeat("x", 40000)+"\n"), narinfo...)), malformed, "malformed", "field Deriver has 40"},
		{"a checksum document with an unknown member", line(ledger.OpenPGPSums, []byte(`{"project":"demo","text":"","signature":"","junk":1}`)), malformed, "malformed", "junk"},
		{"a raw text with an unknown member in its first line", line(ledger.SignedSums, []byte(`{"project":"demo","text":1,"signature":1,"junk":1}`+"\nxy")), malformed, "malformed", "junk"},
		{"a checksum document that is none", line(ledger.OpenPGPSums, []byte("{}")), malformed, "malformed", "checksum document"},
		{"a checksum document without a row that can be read", older("hello\n"), malformed, "malformed", "says nothing of any output"},
		{"a raw text without its first line", line(ledger.SignedSums, []byte("hello")), malformed, "malformed", "does not begin with a line of JSON"},
		{"a raw text of another length than it says", line(ledger.SignedSums, append(encode(&openpgp.Signed{Project: "demo", Text: []byte(row), Signature: signature}), 'x')), malformed, "malformed", "bytes follow the first line"},
		{"a raw text that is named, and not there", line(ledger.SignedSums, encode(named)), malformed, "malformed", "send the text itself"},
		{"checksums without rows", signed(ledger.SignedSums, "# nothing\n", signature), malformed, "malformed", "it has no rows"},
		{"checksums without a row that can be read", signed(ledger.SignedSums, "hello\n"+row[1:], signature), malformed, "malformed", "none of its 2 rows"},
		{"checksums with a file in place of the signature", signed(ledger.SignedSums, row, []byte("hello")), malformed, "malformed", "no block"},
		{"65 signatures of one text", signed(ledger.SignedSums, row, bytes.Repeat(signature, openpgp.MaxSignatures+1)), malformed, "malformed", "more than 64 signatures"},
		{"a signature of version 3", signed(ledger.SignedSums, row, version3), http.StatusForbidden, "bad-signature", "No signature"},
		{"a Gitian assertion that is not YAML", signed(ledger.GitianAssert, "a: [", signature), malformed, "malformed", "not YAML"},
		{"a Gitian assertion without outputs", signed(ledger.GitianAssert, "name: x\nin_manifest: ''\n", signature), malformed, "malformed", "no member out_manifest"},
		{"a Gitian assertion without a row that can be read", signed(ledger.GitianAssert, strings.Replace(assertion, "%", "hello", 1), signature), malformed, "malformed", "none of its 1 rows"},
		{"a Gitian assertion with an alias of YAML", signed(ledger.GitianAssert, "name: &a x\nother: *a\n", signature), malformed, "malformed", "anchors and aliases"},
		{"an entry of another kind", line(ledger.Enrolment, []byte("{}")), malformed, "malformed", "is none of"},
		{"a line with an unknown member", `{"kind":"narinfo","body":"","at":1}` + "\n", malformed, "malformed", "not written as"},
		{"a line with a member twice", `{"kind":"narinfo","body":"","kind":"narinfo"}` + "\n", malformed, "malformed", "not written as"},
		{"a line with a member in another case", `{"Kind":"narinfo","body":""}` + "\n", malformed, "malformed", "not written as"},
		{"a line that is no UTF-8", "{\"kind\":\"narinfo\xff\",\"body\":\"\"}\n", malformed, "malformed", "not written as"},
		{"two documents in a line", `{"kind":"narinfo","body":""}{}` + "\n", malformed, "malformed", "not written as"},
	}
}

// TestEvidenceIsRefused: what no key could have signed, and what says nothing, is not
// kept.
func TestEvidenceIsRefused(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	for _, test := range badDocuments(t, s) {
		t.Run(test.input, func(t *testing.T) {
			s.stored(t, 0, func() { contains(t, s.relayLines(t, test.line)[0].Problem, test.status, test.kind, test.detail) })
		})
	}
}
