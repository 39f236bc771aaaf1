package joining_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/ingest"
	"repronet.dev/aggregator/joining"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

const origin = "test.example/log"

// A world is a Joining over a real ledger, a real file and a real HTTP server.
type world struct {
	t           *testing.T
	joining     *joining.Joining
	ingest      *ingest.Ingest
	log         *writer.Log
	key         *writer.Key
	attachments *ledger.Attachments
	roster      *enrolment.Roster
	handler     http.Handler
	url         string
}

// toLedger is the ledger as the aggregator gives it.
type toLedger struct{ *world }

func (l toLedger) Enrol(ctx context.Context, e *enrolment.Enrolment) (uint64, error) {
	return l.ingest.Enrol(ctx, e)
}

func (l toLedger) Revoke(ctx context.Context, id signing.BuilderID, from *uint64, reason string) (uint64, error) {
	return l.ingest.Revoke(ctx, id, from, reason)
}

func (l toLedger) Attach(_ context.Context, content io.Reader) (attestation.Digest, error) {
	id, err := l.attachments.Put(content)
	return attestation.Digest(id), err
}

func (l toLedger) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	return l.log.Receipt(ctx, index)
}

func newWorld(t *testing.T, policy joining.Policy) *world {
	t.Helper()
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, roster: enrolment.NewRoster()}
	var err error
	w.key, err = writer.LoadOrCreateKey(filepath.Join(dir, "key"), origin)
	check(err)
	w.log, err = writer.Open(t.Context(), writer.Config{Dir: filepath.Join(dir, "log"), Key: w.key, CheckpointInterval: 100 * time.Millisecond})
	check(err)
	w.attachments, err = ledger.OpenAttachments(filepath.Join(dir, "log"))
	check(err)
	kept, err := state.Open(t.Context(), filepath.Join(dir, "state.db"))
	check(err)
	w.ingest = ingest.New(ingest.Config{}, w.log, w.roster, nil)
	w.ingest.Ready()
	w.joining = joining.New(joining.Config{
		Origin: origin, Policy: policy, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}, kept, w.roster, toLedger{w})
	router := serve(t, w.joining)
	w.handler = router
	server := httptest.NewServer(router)
	w.url = server.URL
	t.Cleanup(func() {
		server.Close()
		check(kept.Close())
		if err := w.log.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	w.joining.Ready([]byte("secret"))
	return w
}

// serve puts a Joining behind the aggregator's router.
func serve(t *testing.T, j *joining.Joining) http.Handler {
	t.Helper()
	router, err := web.New(web.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, web.Parts{Joining: j})
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// enrol enrols a key as an operator of the aggregator does by hand.
func (w *world) enrol(e enrolment.Enrolment) *signing.Signer {
	w.t.Helper()
	signer := signingtest.New(w.t)
	e.Builder, e.PublicKey = signer.Public().Builder(), signer.Public().DER()
	if e.Tier == "" {
		e.Tier = enrolment.Counted
	}
	if _, err := w.ingest.Enrol(w.t.Context(), &e); err != nil {
		w.t.Fatal(err)
	}
	return signer
}

func (w *world) builder(signer *signing.Signer) enrolment.Builder {
	b, _ := w.roster.Builder(signer.Public().Builder())
	return b
}

// asks is a document in which a signer asks to be enrolled, changed before it is
// signed.
func asks(t *testing.T, signer *signing.Signer, change func(*request.Request)) request.Document {
	t.Helper()
	r := &request.Request{Origin: origin, PublicKey: signer.Public(), Created: time.Now().UTC().Truncate(time.Second)}
	if change != nil {
		change(r)
	}
	payload, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return request.Document{Request: signed(t, signer, payload)}
}

func signed(t *testing.T, signer *signing.Signer, payload []byte) []byte {
	t.Helper()
	bundle, err := signer.SignPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func named(operator string) func(*request.Request) {
	return func(r *request.Request) { r.Operator = operator }
}

// payloadOf returns what a document's request signs.
func payloadOf(t *testing.T, d request.Document) []byte {
	t.Helper()
	var bundle struct {
		DsseEnvelope struct{ Payload []byte }
	}
	if err := json.Unmarshal(d.Request, &bundle); err != nil {
		t.Fatal(err)
	}
	return bundle.DsseEnvelope.Payload
}

// An answer is what came back over HTTP.
type answer struct {
	status int
	api.Enrolment
	api.Problem
}

func (w *world) send(d request.Document) answer {
	w.t.Helper()
	text, err := d.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(http.MethodPost, "", text)
}

func (w *world) state(signer *signing.Signer) answer {
	w.t.Helper()
	return w.do(http.MethodGet, "/"+string(signer.Public().Builder()), nil)
}

func (w *world) do(method, path string, body []byte) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+api.EnrolmentsPath+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode}
	var into any = &a.Enrolment
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		into = &a.Problem
	}
	if err := json.Unmarshal(text, into); err != nil {
		w.t.Fatalf("%v: %s", err, text)
	}
	return a
}

// expect sends a document and checks the status and, of a problem, its kind.
func (w *world) expect(d request.Document, status int, kind string) answer {
	w.t.Helper()
	a := w.send(d)
	if got := strings.TrimPrefix(a.Type, "/docs/problems#"); a.status != status || got != kind {
		w.t.Errorf("answered %d %q (%s%s), want %d %q", a.status, got, a.Next, a.Detail, status, kind)
	}
	return a
}

// waiting returns who waits, as "operator builder" each.
func (w *world) waiting() (list []string) {
	w.t.Helper()
	pending, err := w.joining.Pending(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range pending {
		list = append(list, fmt.Sprint(p.Operator, " ", p.Builder))
	}
	return list
}
