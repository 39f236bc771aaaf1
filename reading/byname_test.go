package reading_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"

	"repronet.dev/enrolment"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// source is a directory as Nix 2.8 adds it, whose path follows from its NAR hash; the cache
// left out its CA.
const source = "StorePath: /nix/store/qakfbqxjli75b8j3cfhr650a7pc7famr-plain-source\n" +
	"NarHash: sha256:128rg0brhgszpchn2a17nf4lsll6q8cs21xwczjhrr51cxf0ambq\nNarSize: 128\nReferences: \n"

// TestProvenByName: what proves itself is no agreement, from the version of the rules on
// that knows it; what was read by the first keeps its meaning.
func TestProvenByName(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	body, err := (&enrolment.Enrolment{Builder: key.Builder(), PublicKey: key.DER(), NixName: "cache-1", Operator: "cache", Tier: enrolment.Counted}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.roster.Apply(0, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	signed := func(text string) []byte {
		info, err := narinfo.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return []byte(text + "Sig: cache-1:" + base64.StdEncoding.EncodeToString(ed25519.Sign(private, info.Fingerprint())) + "\n")
	}
	const other = "StorePath: /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-hello\n" +
		"NarHash: sha256:128rg0brhgszpchn2a17nf4lsll6q8cs21xwczjhrr51cxf0ambq\nNarSize: 128\nReferences: \n"
	read := func(index uint64, text string) *reading.Document {
		said, err := w.keys.Read(t.Context(), index, &ledger.Entry{Kind: ledger.Narinfo, ReceivedAt: now, Body: signed(text)})
		if err != nil {
			t.Fatal(err)
		}
		d, ok := said.(*reading.Document)
		if !ok {
			t.Fatalf("index %d says %v", index, said)
		}
		return d
	}
	const rules = 7
	w.roster.Judge(rules, uint32(reading.ByName))
	for _, c := range []struct {
		name   string
		index  uint64
		text   string
		counts bool
		needs  reading.Version
	}{
		{"by version 1", rules - 1, source, true, reading.ByName},
		{"by version 2", rules + 1, source, false, 0},
		{"with its CA", rules - 1, source + "CA: fixed:r:sha256:128rg0brhgszpchn2a17nf4lsll6q8cs21xwczjhrr51cxf0ambq\n", false, 0},
		{"what a recipe made", rules - 1, other, true, 0},
		{"what a recipe made, by version 2", rules + 1, other, true, 0},
	} {
		d := read(c.index, c.text)
		if counts := d.Reason() == ""; counts != c.counts || len(d.Counted()) > 0 != c.counts || d.Needs != c.needs {
			t.Errorf("%s: counts: %t (%s), needs version %d", c.name, counts, d.Reason(), d.Needs)
		}
	}
	if before, after := read(rules-1, source), read(rules+1, source); before.ID == after.ID {
		t.Error("what counted and what does not is one document, so it would not be taken again")
	}
}
