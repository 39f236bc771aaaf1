package ingest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// large is a statement that takes some ten thousand bytes of the ledger, since digests cannot
// be compressed.
func large(t *testing.T) *attestation.Statement {
	t.Helper()
	s := statement()
	for i := range 250 {
		subject := attestation.Subject{Name: fmt.Sprintf("alice/file-%d-%d", made.Add(1), i)}
		if _, err := rand.Read(subject.Digest[:]); err != nil {
			t.Fatal(err)
		}
		s.Builds[0].Outputs = append(s.Builds[0].Outputs, len(s.Subjects))
		s.Subjects = append(s.Subjects, subject)
	}
	return s
}

// fill submits statements of signers in turn until one is not taken, and returns how many
// were, and the problem.
func (s *server) fill(t *testing.T, signers ...*signing.Signer) (taken int, problem *api.Problem) {
	t.Helper()
	for taken < 50 {
		bundle := sign(t, signers[taken%len(signers)], large(t))
		a := s.submitLines(t, bundle)
		if a.results[0].Problem != nil {
			return taken, a.results[0].Problem
		}
		s.accepted(t, a.results[0], bundle)
		taken++
	}
	t.Fatal("everything is taken")
	return 0, nil
}

// TestBudgets: a builder, an operator, all of tier open and all together write so many bytes
// in a day, and what is over it is held, not refused for good.
func TestBudgets(t *testing.T) {
	open := func(e *enrolment.Enrolment) { e.Tier = enrolment.Open }
	for name, test := range map[string]struct {
		budget ingest.Budget
		change func(*enrolment.Enrolment)
		detail string
	}{
		"builder":       {ingest.Budget{Builder: 50 << 10}, nil, "builder "},
		"operator":      {ingest.Budget{Operator: 50 << 10}, nil, "operator alice"},
		"open builder":  {ingest.Budget{OpenBuilder: 50 << 10}, open, "builder "},
		"open operator": {ingest.Budget{OpenOperator: 50 << 10}, open, "operator alice"},
		"open":          {ingest.Budget{Open: 50 << 10}, open, "all builders of tier open"},
		"total":         {ingest.Budget{Total: 50 << 10}, nil, "all submissions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, ingest.Config{Budget: test.budget}, nil)
			signers := []*signing.Signer{s.enrolled(t, "alice", test.change), s.enrolled(t, "alice", test.change)}
			if strings.Contains(name, "builder") {
				signers = signers[:1]
			}
			taken, problem := s.fill(t, signers...)
			contains(t, problem, http.StatusTooManyRequests, "over-budget", test.detail)
			if problem.Permanent() {
				t.Error("what is over the budget is refused for good")
			}
			if taken < 2 || taken > 8 {
				t.Errorf("%d statements of some ten thousand bytes are in fifty", taken)
			}
			// A duplicate takes nothing, and another builder of tier counted has its own.
			if other := s.enrolled(t, "bob", nil); name != "total" {
				bundle := sign(t, other, large(t))
				s.accepted(t, s.submit(t, bundle).results[0], bundle)
			}
		})
	}
}

// TestDuplicatesAreFree: what the ledger has already is answered, over budget too.
func TestDuplicatesAreFree(t *testing.T) {
	s := newServer(t, ingest.Config{Budget: ingest.Budget{Builder: 50 << 10}}, nil)
	signer := s.enrolled(t, "alice", nil)
	first := sign(t, signer, large(t))
	s.accepted(t, s.submit(t, first).results[0], first)
	if _, problem := s.fill(t, signer); problem == nil {
		t.Fatal("no bound")
	}
	if r := s.submit(t, first).results[0]; !r.Duplicate || r.Receipt == nil {
		t.Errorf("the first again: %+v", r)
	}
}

// failing is a ledger that takes nothing while it is broken.
type failing struct {
	ingest.Log
	broken bool
}

func (f *failing) AppendPacked(ctx context.Context, entry ledger.Packed) (uint64, error) {
	if f.broken {
		return 0, errors.New("disk full")
	}
	return f.Log.AppendPacked(ctx, entry)
}

// TestNothingWrittenNothingSpent: what the ledger did not take uses up no budget.
func TestNothingWrittenNothingSpent(t *testing.T) {
	log := &failing{}
	s := newServer(t, ingest.Config{Budget: ingest.Budget{Builder: 50 << 10}}, func(l ingest.Log) ingest.Log { log.Log = l; return log })
	signer := s.enrolled(t, "alice", nil)
	log.broken = true
	for range 20 {
		a := s.submitLines(t, sign(t, signer, large(t)))
		contains(t, a.results[0].Problem, http.StatusServiceUnavailable, "try-later", "did not take")
	}
	log.broken = false
	if taken, _ := s.fill(t, signer); taken < 2 {
		t.Errorf("%d statements are taken after the disk was full", taken)
	}
}

// TestAttachmentsAreCharged: an attachment stays on the disk where no entry names it in the
// end, and is charged then too.
func TestAttachmentsAreCharged(t *testing.T) {
	log := &failing{}
	attached := 0
	config := ingest.Config{Budget: ingest.Budget{Uncounted: 1 << 20}, Attach: func(content io.Reader) (ledger.AttachmentID, error) {
		text, err := io.ReadAll(content)
		attached += len(text)
		return sha256.Sum256(text), err
	}}
	s := newServer(t, config, func(l ingest.Log) ingest.Log { log.Log = l; return log })
	log.broken = true
	person := openpgptest.NewPerson(t, "stranger", time.Now().Add(-time.Hour))
	for n := range 10 {
		var rows strings.Builder
		for i := range 2500 {
			fmt.Fprintf(&rows, "%x  file-%d\n", sha256.Sum256(fmt.Append(nil, n, i)), i)
		}
		text := rows.String()
		body, err := (&openpgp.Signed{Project: "demo", Text: []byte(text), Signature: person.Detached(text, time.Now().Add(-time.Minute))}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		s.relayFrom(t, http.DefaultClient, api.Evidence{Kind: ledger.SignedSums, Body: body})
	}
	if attached == 0 || attached > 1<<20 {
		t.Errorf("%d bytes were attached, want some and at most the budget", attached)
	}
}

// padded is a narinfo by a cache that is as large as what is not signed of it can be.
func (c cache) padded(t *testing.T, n int) api.Evidence {
	t.Helper()
	pad := make([]byte, 600)
	if _, err := rand.Read(pad); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("%s-%d", hello, n)
	return api.Evidence{Kind: ledger.Narinfo, Body: c.narinfo(t, path, fmt.Sprintf("URL: nar/%x.nar\n", pad[:500]))}
}

// relayFrom relays a document from an address.
func (s *server) relayFrom(t *testing.T, client *http.Client, e api.Evidence) api.Result {
	t.Helper()
	line, err := e.Line()
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+api.EvidencePath, bytes.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", api.LinesType)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var r api.Result
	if err := json.NewDecoder(response.Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStrangersEvidence: documents by keys that are not enrolled are bounded in bytes, for a
// network and for all; what is refused uses nothing up, and honest relays go on.
func TestStrangersEvidence(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newServerOf(t, ingest.Config{Registry: registry, Budget: ingest.Budget{Network: 10 << 10, Uncounted: 25 << 10}}, nil,
		func(c *limits) { c.Networks = &everyAddress })
	known := newCache(t, "known-1")
	s.enrol(t, known.enrolment(t, "cache"))
	stranger := newCache(t, "stranger-1")
	n := 0
	flood := func(address string) (taken int, last api.Result) {
		client := from(t, address)
		for range 60 {
			n++
			last = s.relayFrom(t, client, stranger.padded(t, n))
			if last.Problem != nil {
				return taken, last
			}
			taken++
		}
		t.Fatal("everything is taken")
		return 0, last
	}
	first, last := flood("127.0.0.2")
	contains(t, last.Problem, http.StatusTooManyRequests, "over-budget", "your network")
	if first < 4 || first > 14 {
		t.Errorf("one network had %d documents of a thousand bytes taken, of ten thousand bytes", first)
	}
	// Refused documents, of which there can be any number, use up nobody's budget.
	client := from(t, "127.0.0.3")
	for i := range 100 {
		e := stranger.padded(t, 1000+i)
		e.Body = append([]byte("Junk: x\n"), e.Body...)
		if r := s.relayFrom(t, client, e); r.Problem == nil || r.Problem.Kind() != api.ProblemMalformed {
			t.Fatalf("junk: %+v", r)
		}
	}
	second, _ := flood("127.0.0.3")
	third, last := flood("127.0.0.4")
	contains(t, last.Problem, http.StatusTooManyRequests, "over-budget", "all documents by keys that are not enrolled")
	if second < first-2 || third >= first {
		t.Errorf("three networks had %d, %d and %d documents taken", first, second, third)
	}
	// What an enrolled key signed is no stranger's, whoever relays it.
	for i := range 30 {
		if r := s.relayFrom(t, from(t, "127.0.0.2"), known.padded(t, 2000+i)); r.Problem != nil || r.Reason != "" {
			t.Fatalf("an honest cache's: %+v", r)
		}
	}
	// Also what does not count because of what it is about.
	if r := s.relayFrom(t, from(t, "127.0.0.2"), api.Evidence{Kind: ledger.Narinfo, Body: known.narinfo(t, hello+"-fixed", "CA: fixed:r:sha256:x\n")}); r.Problem != nil {
		t.Errorf("a fixed output of an honest cache: %v", r.Problem)
	}
	if got, err := testutil.GatherAndCount(registry, "repronet_ingest_written_bytes_total"); err != nil || got != 2 {
		t.Errorf("%d tiers were counted, %v", got, err)
	}
}

func TestBytes(t *testing.T) {
	for _, test := range []struct {
		text string
		want ingest.Bytes
		as   string // "": cannot be read
	}{
		{"0", 0, "0"},
		{"1048576", 1 << 20, "1MiB"},
		{"64 MiB", 64 << 20, "64MiB"},
		{"1536KiB", 1536 << 10, "1536KiB"},
		{"2TiB", 2 << 40, "2TiB"},
		{"1000", 1000, "1000"},
		{"-1", 0, ""},
		{"9999999999999TiB", 0, ""},
		{"1MB", 0, ""},
		{"", 0, ""},
	} {
		var b ingest.Bytes
		err := b.UnmarshalText([]byte(test.text))
		if (err == nil) != (test.as != "") {
			t.Errorf("%q: %v", test.text, err)
		}
		if err == nil && (b != test.want || b.String() != test.as) {
			t.Errorf("%q is read as %d, %s", test.text, b, b)
		}
	}
}

// TestBudgetsOverAStart: a start begins no new day, and keeps no addresses.
func TestBudgetsOverAStart(t *testing.T) {
	config := ingest.Config{Budget: ingest.Budget{Builder: 50 << 10, Uncounted: 10 << 10}}
	s := newServerOf(t, config, nil, func(c *limits) { c.Networks = &everyAddress })
	signer := s.enrolled(t, "alice", nil)
	s.fill(t, signer)
	if r := s.relayFrom(t, from(t, "127.0.0.2"), newCache(t, "stranger-1").padded(t, 1)); r.Problem != nil {
		t.Fatal(r.Problem)
	}
	spent, err := s.ingest.Spent()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(spent); !strings.Contains(text, string(signer.Public().Builder())) || !strings.Contains(text, "uncounted") || strings.Contains(text, "127.0.0.2") {
		t.Errorf("kept is %s", text)
	}
	roster := enrolment.NewRoster()
	body, err := (&enrolment.Enrolment{Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := roster.Apply(0, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	again := ingest.New(config, s.log, roster, nil)
	if err := again.Restore(spent); err != nil {
		t.Fatal(err)
	}
	again.Ready()
	_, _, err = again.Submit(t.Context(), sign(t, signer, large(t)))
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Kind() != api.ProblemOverBudget {
		t.Errorf("after the start: %v", err)
	}
	after, err := again.Spent()
	if err != nil || len(after) < len(spent)/2 {
		t.Errorf("kept after the start is %s, %v", after, err)
	}
	if err := again.Restore([]byte(`[{"what":"total","junk":1}]`)); err == nil {
		t.Error("junk was taken")
	}
}
