package ingest_test

import (
	"testing"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// TestProvenByNameBringsRules: the first narinfo that an earlier version of the rules would
// count brings the version that does not, once.
func TestProvenByNameBringsRules(t *testing.T) {
	const source = "StorePath: /nix/store/qakfbqxjli75b8j3cfhr650a7pc7famr-plain-source\n" +
		"NarHash: sha256:128rg0brhgszpchn2a17nf4lsll6q8cs21xwczjhrr51cxf0ambq\nNarSize: 128\n"
	s := newServer(t, ingest.Config{}, nil)
	c, other := newCache(t, "cache-1"), newCache(t, "other-1")
	s.enrol(t, c.enrolment(t, "cache"))
	relay := func(c cache) (r api.Result) {
		r = s.relay(t, api.Evidence{Kind: ledger.Narinfo, Body: c.sign(t, []byte(source))})[0]
		return r
	}
	// By a key that is not known it counts by no version.
	s.stored(t, 1, func() { relay(other) })
	var r api.Result
	s.stored(t, 2, func() { r = relay(c) })
	if r.Reason == "" || r.Receipt == nil {
		t.Fatalf("%+v", r)
	}
	s.enrol(t, other.enrolment(t, "other"))
	s.stored(t, 1, func() { r = relay(other) })
	if r.Reason == "" || r.Duplicate {
		t.Errorf("%+v", r)
	}
	var rules []uint64
	for record, err := range s.log.Local().Records(t.Context(), 0, s.log.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := record.Entry()
		if err != nil {
			t.Fatal(err)
		}
		if said, ok := reading.As[*reading.Rules](record.Index, entry); ok && said.Version == reading.ByName {
			rules = append(rules, record.Index)
		}
	}
	if len(rules) != 1 || rules[0] != 2 {
		t.Errorf("rules at %v", rules)
	}
}
