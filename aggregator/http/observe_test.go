package http_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing/signingtest"
)

// TestRequestLog: one event for each request, with the route's name and nothing that a
// stranger wrote.
func TestRequestLog(t *testing.T) {
	var out bytes.Buffer
	registry := prometheus.NewRegistry()
	server, err := web.New(web.Config{Logger: slog.New(slog.NewTextHandler(&out, nil)), Registry: registry}, web.Parts{Source: sample()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, says string }{
		{"GET", "/api/v1/summary", "route=get-summary method=GET status=200"},
		{"HEAD", "/api/v1/summary", "route=get-summary method=HEAD status=200"},
		{"GET", "/api/v1/builders/secret", "route=get-builder method=GET status=422"},
		{"GET", "/builds/secret", "route=build method=GET status=404"},
		{"GET", "/secret", "route=none method=GET status=404"},
		{"SECRET", "/api/v1/summary", "route=none method=other status=405"},
		{"GET", "/healthz/live", ""},
	} {
		out.Reset()
		request(t, server, c.method, c.path, nil)
		var events []string
		for line := range strings.Lines(out.String()) {
			events = append(events, line)
		}
		if c.says == "" {
			if len(events) > 0 {
				t.Errorf("%s %s is logged: %s", c.method, c.path, events)
			}
			continue
		}
		if len(events) != 1 || !strings.Contains(events[0], "msg=request "+c.says+" bytes=") || !strings.Contains(events[0], "duration=") {
			t.Errorf("%s %s is logged as %q, want %q", c.method, c.path, events, c.says)
		}
		if strings.Contains(strings.ToLower(out.String()), "secret") {
			t.Errorf("%s %s: the log has a stranger's words: %s", c.method, c.path, out.String())
		}
	}
	if n, err := testutil.GatherAndCount(registry, "repronet_http_requests_total"); err != nil || n != 6 {
		t.Errorf("%d series of requests, %v, want 6", n, err)
	}
	want := `
# HELP repronet_problems_total Problems that were answered with, by their kind: of requests, and of lines of submissions.
# TYPE repronet_problems_total counter
repronet_problems_total{kind="invalid-parameter"} 1
repronet_problems_total{kind="method-not-allowed"} 1
repronet_problems_total{kind="not-found"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "repronet_problems_total"); err != nil {
		t.Error(err)
	}
}

// burning is a ledger that panics for some.
type burning struct{}

func (burning) AppendPacked(context.Context, ledger.Packed) (uint64, error) { panic("on fire") }

func (burning) Receipt(context.Context, uint64) (*ledger.Receipt, error) { panic("no ledger") }

func (burning) Size() uint64 { return 0 }

// TestPanic: a handler that panics is answered, also in a goroutine of its own, where
// a panic would end the process; its stack is logged, and no answer has it. A sender
// that waits for the same claim is answered too.
func TestPanic(t *testing.T) {
	var out bytes.Buffer
	signer := signingtest.New(t)
	roster := enrolment.NewRoster()
	body, err := (&enrolment.Enrolment{Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := roster.Apply(0, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	in := ingest.New(ingest.Config{}, burning{}, roster, nil)
	in.Ready()
	server := serveParts(t, slog.New(slog.NewTextHandler(&out, nil)), web.Parts{Ingest: in})
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "alice/tool^out", Digest: attestation.Digest{1}}},
		Builds:   []attestation.Build{{Name: "alice/tool", Outputs: []int{0}, Finished: time.Now().Truncate(time.Second), Occasion: attestation.OccasionBuild}},
	}
	payload, err := statement.Encode()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signer.SignPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Join([][]byte{bundle, bundle, []byte("{}")}, []byte("\n"))
	response := request(t, server, http.MethodPost, api.SubmitPath, bytes.NewReader(lines), "Content-Type", api.LinesType)
	answers := text(t, response)
	if response.StatusCode != http.StatusOK || strings.Count(answers, "\n") != 3 || strings.Count(answers, `"status":400`) != 1 {
		t.Errorf("status %d: %s", response.StatusCode, answers)
	}
	if strings.Contains(answers, "on fire") || !strings.Contains(answers, `/docs/problems#internal"`) {
		t.Errorf("the answers: %s", answers)
	}
	if !strings.Contains(out.String(), "on fire") || !strings.Contains(out.String(), "burning.AppendPacked") || !strings.Contains(out.String(), "route=submit-attestations") {
		t.Errorf("the log has no stack: %s", out.String())
	}
	// In the handler's own goroutine.
	out.Reset()
	response = request(t, server, http.MethodGet, api.SummaryPath, nil)
	checkProblem(t, response, text(t, response))
	if response.StatusCode != http.StatusInternalServerError || !strings.Contains(out.String(), "stack=") || !strings.Contains(out.String(), "msg=request route=get-summary method=GET status=500") {
		t.Errorf("status %d, log %s", response.StatusCode, out.String())
	}
}
