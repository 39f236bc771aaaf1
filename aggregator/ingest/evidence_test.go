package ingest_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// cache is a binary cache with a key.
type cache struct {
	name    string
	private ed25519.PrivateKey
}

func newCache(t *testing.T, name string) cache {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cache{name, private}
}

func (c cache) enrolment(t *testing.T, operator string) *enrolment.Enrolment {
	t.Helper()
	public, err := signing.NewPublicKey(c.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &enrolment.Enrolment{
		Builder: public.Builder(), PublicKey: public.DER(), NixName: c.name, Operator: operator, Tier: enrolment.Counted,
	}
}

// narinfo returns a signed file about a store path.
func (c cache) narinfo(t *testing.T, path, more string) []byte {
	t.Helper()
	text := fmt.Sprintf("StorePath: /nix/store/%s\nNarHash: sha256:%064x\nNarSize: 100\n", path, 7) + more
	info, err := narinfo.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(c.private, info.Fingerprint()))
	return []byte(text + "Sig: " + c.name + ":" + signature + "\n")
}

const hello, other = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-hello", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-other"

// relay submits documents, as a stranger does, and returns the results.
func (s *server) relay(t *testing.T, documents ...api.Evidence) []api.Result {
	t.Helper()
	var lines bytes.Buffer
	for _, d := range documents {
		if err := json.NewEncoder(&lines).Encode(d); err != nil {
			t.Fatal(err)
		}
	}
	return s.relayLines(t, lines.String())
}

func (s *server) relayLines(t *testing.T, lines string) []api.Result {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+api.EvidencePath, strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", api.LinesType)
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	var results []api.Result
	for decoder := json.NewDecoder(response.Body); decoder.More(); {
		var r api.Result
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func (s *server) enrol(t *testing.T, e *enrolment.Enrolment) {
	t.Helper()
	if _, err := s.ingest.Enrol(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// TestEvidenceRelayedByAStranger is kept byte for byte, once, and counts.
func TestEvidenceRelayedByAStranger(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	c := newCache(t, "cache.example.org-1")
	s.enrol(t, c.enrolment(t, "cache"))
	document := api.Evidence{Kind: ledger.Narinfo, Body: c.narinfo(t, hello, "")}
	var first, again []api.Result
	s.stored(t, 1, func() { first = s.relay(t, document) })
	entry, err := first[0].Receipt.Verify(s.key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if entry.Kind != ledger.Narinfo || !bytes.Equal(entry.Body, document.Body) || first[0].State != "valid" || first[0].Reason != "" {
		t.Errorf("kept as %s, state %q, reason %q", entry.Kind, first[0].State, first[0].Reason)
	}
	// In another spelling, and with a signature that proves nothing beside.
	spelled := api.Evidence{Kind: ledger.Narinfo, Body: append([]byte("URL: nar/x\n"), newCache(t, "nobody-1").sign(t, document.Body)...)}
	s.stored(t, 0, func() { again = s.relay(t, document, spelled) })
	for _, r := range again {
		if !r.Duplicate || r.Receipt == nil || r.Receipt.Index != first[0].Receipt.Index {
			t.Errorf("the same again: %+v", r)
		}
	}
}

// sign adds a signature to a file.
func (c cache) sign(t *testing.T, file []byte) []byte {
	t.Helper()
	info, err := narinfo.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(bytes.Clone(file), "Sig: %s:%s\n", c.name, base64.StdEncoding.EncodeToString(ed25519.Sign(c.private, info.Fingerprint())))
}

// TestEvidenceByAnUnknownKey is kept and does not count, until the key is enrolled
// and it comes again.
func TestEvidenceByAnUnknownKey(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	c := newCache(t, "cache.example.org-1")
	document := api.Evidence{Kind: ledger.Narinfo, Body: c.narinfo(t, hello, "")}
	s.stored(t, 1, func() {
		for range 2 {
			if r := s.relay(t, document)[0]; r.Receipt == nil || r.State != "unknown-key" || r.Reason == "" {
				t.Errorf("by an unknown key: %+v", r)
			}
		}
	})
	s.enrol(t, c.enrolment(t, "cache"))
	s.stored(t, 1, func() {
		if r := s.relay(t, document)[0]; r.Duplicate || r.Reason != "" {
			t.Errorf("by a key that is enrolled by now: %+v", r)
		}
	})
}

// TestEvidenceOfFixedOutputs: agreement on what a content address decides says
// nothing.
func TestEvidenceOfFixedOutputs(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	c := newCache(t, "cache.example.org-1")
	s.enrol(t, c.enrolment(t, "cache"))
	r := s.relay(t, api.Evidence{Kind: ledger.Narinfo, Body: c.narinfo(t, hello, "CA: fixed:r:sha256:x\n")})[0]
	if r.Receipt == nil || !strings.Contains(r.Reason, "fixed output") {
		t.Errorf("%+v", r)
	}
	// The field is not signed: who adds it keeps nobody's word out.
	if r := s.relay(t, api.Evidence{Kind: ledger.Narinfo, Body: c.narinfo(t, hello, "")})[0]; r.Duplicate || r.Reason != "" {
		t.Errorf("without the field: %+v", r)
	}
}

// TestEvidenceOfARevokedBuilder is kept and does not count.
func TestEvidenceOfARevokedBuilder(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	c := newCache(t, "cache.example.org-1")
	e := c.enrolment(t, "cache")
	s.enrol(t, e)
	if _, err := s.ingest.Revoke(t.Context(), e.Builder, nil, "lost"); err != nil {
		t.Fatal(err)
	}
	if r := s.relay(t, api.Evidence{Kind: ledger.Narinfo, Body: c.narinfo(t, hello, "")})[0]; r.State != "revoked" || r.Reason == "" {
		t.Errorf("%+v", r)
	}
}
