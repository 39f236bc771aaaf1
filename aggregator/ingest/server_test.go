package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// server is an Ingest over a real ledger, behind a real HTTP server.
type server struct {
	reads string // up to which version senders say that they read entries
	*httptest.Server
	ingest *ingest.Ingest
	log    *writer.Log
	key    *writer.Key
}

// newServer starts one. wrap, if there is one, stands between it and the ledger.
func newServer(t *testing.T, config ingest.Config, wrap func(ingest.Log) ingest.Log, maxInFlight ...int64) *server {
	t.Helper()
	return newServerOf(t, config, wrap, func(c *limits) {
		if len(maxInFlight) > 0 {
			c.MaxInFlight = maxInFlight[0]
		}
	})
}

// limits are what the server takes on at once.
type limits = web.Config

// newServerOf starts one whose limits are changed.
func newServerOf(t *testing.T, config ingest.Config, wrap func(ingest.Log) ingest.Log, change func(*limits)) *server {
	t.Helper()
	dir := t.TempDir()
	key, err := writer.LoadOrCreateKey(filepath.Join(dir, "key"), "test.example/log")
	if err != nil {
		t.Fatal(err)
	}
	log, err := writer.Open(t.Context(), writer.Config{Dir: filepath.Join(dir, "log"), Key: key, CheckpointInterval: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var writer ingest.Log = log
	if wrap != nil {
		writer = wrap(log)
	}
	in := ingest.New(config, writer, enrolment.NewRoster(), nil)
	router := serve(t, in, change)
	s := &server{Server: httptest.NewUnstartedServer(router), ingest: in, log: log, key: key}
	s.Config.ReadTimeout = time.Minute
	s.Start()
	t.Cleanup(func() {
		s.Close()
		if err := log.Close(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
	})
	in.Ready()
	return s
}

// serve puts an Ingest behind the aggregator's router.
func serve(t *testing.T, in *ingest.Ingest, change func(*limits)) http.Handler {
	t.Helper()
	config := limits{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), BodyGrace: 3 * time.Second}
	change(&config)
	router, err := web.New(config, web.Parts{Ingest: in})
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// enrolled returns a signer whose key was enrolled.
func (s *server) enrolled(t *testing.T, operator string, change func(*enrolment.Enrolment)) *signing.Signer {
	t.Helper()
	signer := signingtest.New(t)
	e := &enrolment.Enrolment{
		Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: operator, Tier: enrolment.Counted,
	}
	if change != nil {
		change(e)
	}
	if _, err := s.ingest.Enrol(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return signer
}

// made counts the statements of a test run, so that each is another one.
var made atomic.Int64

func statement() *attestation.Statement {
	name := fmt.Sprintf("alice/tool-%d", made.Add(1))
	return &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: name + "^out", Digest: attestation.Digest{0xab, 1}}},
		Builds: []attestation.Build{{
			Name: name, Outputs: []int{0}, Finished: time.Now().Truncate(time.Second), Occasion: attestation.OccasionBuild,
		}},
	}
}

func sign(t *testing.T, signer *signing.Signer, s *attestation.Statement) []byte {
	t.Helper()
	payload, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return signPayload(t, signer, payload)
}

func signPayload(t *testing.T, signer *signing.Signer, payload []byte) []byte {
	t.Helper()
	bundle, err := signer.SignPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// answer is what came back for a request.
type answer struct {
	status  int
	header  http.Header
	results []api.Result // one for each bundle; none if the whole request was refused
	problem *api.Problem // of the whole request
}

// post sends a body and decodes the answer.
func (s *server) post(t *testing.T, body io.Reader, contentType, encoding string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+api.SubmitPath, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	if s.reads != "" {
		request.Header.Set(api.EntryVersionHeader, s.reads)
	}
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	decoder := json.NewDecoder(response.Body)
	decoder.DisallowUnknownFields()
	if response.StatusCode != http.StatusOK {
		if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("status %d has Content-Type %q", response.StatusCode, got)
		}
		a.problem = &api.Problem{}
		if err := decoder.Decode(a.problem); err != nil {
			t.Fatal(err)
		}
		if a.problem.Status != a.status {
			t.Errorf("the problem says status %d, HTTP says %d", a.problem.Status, a.status)
		}
		return a
	}
	for decoder.More() {
		var r api.Result
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if (r.Receipt == nil) == (r.Problem == nil) {
			t.Errorf("want either a receipt or a problem, got %+v", r)
		}
		a.results = append(a.results, r)
	}
	return a
}

func (s *server) submit(t *testing.T, bundle []byte) answer {
	t.Helper()
	return s.post(t, bytes.NewReader(bundle), api.BundleType, "")
}

func (s *server) submitLines(t *testing.T, bundles ...[]byte) answer {
	t.Helper()
	return s.post(t, bytes.NewReader(append(bytes.Join(bundles, []byte("\n")), '\n')), api.LinesType, "")
}

// accepted fails unless the result is a receipt for the bundle that anybody can
// verify, and returns the index.
func (s *server) accepted(t *testing.T, r api.Result, bundle []byte) uint64 {
	t.Helper()
	if r.Receipt == nil {
		t.Fatalf("refused: %v", r.Problem)
	}
	entry, err := r.Receipt.Verify(s.key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if entry.Kind != ledger.Attestation || !bytes.Equal(entry.Body, bundle) {
		t.Errorf("the receipt is for another entry, of kind %s", entry.Kind)
	}
	return r.Receipt.Index
}

// stored fails unless the ledger grew by n entries while act ran.
func (s *server) stored(t *testing.T, n uint64, act func()) {
	t.Helper()
	before := s.log.Size()
	act()
	if grown := s.log.Size() - before; grown != n {
		t.Errorf("the ledger grew by %d entries, want %d", grown, n)
	}
}

func contains(t *testing.T, p *api.Problem, status int, kind, want string) {
	t.Helper()
	switch {
	case p == nil:
		t.Errorf("accepted, want %d %s", status, kind)
	case p.Status != status || p.Type != "/docs/problems#"+kind || !strings.Contains(p.Detail, want):
		t.Errorf("got %d %s: %s\nwant %d %s with %q", p.Status, p.Type, p.Detail, status, kind, want)
	}
}
