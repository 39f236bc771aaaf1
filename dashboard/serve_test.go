package dashboard_test

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/ledger"
)

// serve puts pages and API over source on an engine, as the aggregator does.
func serve(t testing.TB, source dashboard.Source) http.Handler {
	t.Helper()
	now := time.Now()
	server, err := web.New(web.Config{Dashboard: dashboard.Config{
		URL:           "https://repro.example.org",
		Subscriptions: subscribers{},
		Waiting:       func(context.Context) (int, error) { return 3, nil },
		Jobs: func() []dashboard.Job {
			return []dashboard.Job{
				{Name: "roll-up", Schedule: "@every 5m", LastRun: now.Add(-2 * time.Minute), Duration: 41 * time.Millisecond, Next: now.Add(3 * time.Minute)},
				{Name: "checkpoint-freshness", Schedule: "@every 1m", LastRun: now.Add(-20 * time.Second), Duration: time.Millisecond, Next: now.Add(40 * time.Second)},
				{Name: "stale-builders", Schedule: "0 4 * * *", LastRun: now.Add(-8 * time.Hour), Duration: 2 * time.Second, Error: "The index did not answer within 2s.", Next: now.Add(16 * time.Hour)},
			}
		},
	}, Logger: slog.New(slog.DiscardHandler)}, web.Parts{Source: source, SQL: console{}, Suggestions: suggestions(source), Entry: func(context.Context, uint64) (*ledger.Entry, error) {
		return &ledger.Entry{Kind: ledger.Attestation, ReceivedAt: now, Body: []byte(`{"bundle":1}`)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// subscribers has one subscription, whose links have the token "right".
type subscribers struct{}

func (subscribers) Subscription(_ context.Context, id, action, token string) (*dashboard.Subscription, error) {
	if id != "anna" || token != "right" || action != "confirm" && action != "unsubscribe" {
		return nil, dashboard.ErrNotFound
	}
	return &dashboard.Subscription{Of: "package set nixos-minimal", Often: "regressed, fixed; once a day"}, nil
}

func (s subscribers) Decide(ctx context.Context, id, action, token string) error {
	_, err := s.Subscription(ctx, id, action, token)
	return err
}

// suggestions suggests what a set has of outputs with a plain name.
func suggestions(source dashboard.Source) func(context.Context, api.SuggestionQuery) (*api.Suggestions, error) {
	return func(ctx context.Context, query api.SuggestionQuery) (*api.Suggestions, error) {
		summary, err := source.Summary(ctx, query.Set)
		if err != nil {
			return nil, err
		}
		since := time.Now().Add(-50 * time.Hour)
		return &api.Suggestions{Set: query.Set, Revision: summary.Revision, Confirmable: summary.Single, Unbuilt: summary.Unbuilt, Suggestions: []api.Suggestion{
			{Build: dashboardtest.DRV("ghc-9.10.3-doc"), Ecosystem: "nix", Outputs: []string{dashboardtest.Out("ghc-9.10.3-doc", ""), dashboardtest.Out("ghc-9.10.3-doc", "dev")}, Reason: api.Confirm, Since: &since, Dependents: 1234, System: "x86_64-linux"},
			{Ecosystem: "nix", Outputs: []string{dashboardtest.Out("unbuilt-1", "")}, Reason: api.Begin, System: "x86_64-linux"},
		}}, nil
	}
}

func sample() *dashboardtest.Fake { return dashboardtest.NewFake(dashboardtest.Sample(time.Now())) }

func get(t testing.TB, h http.Handler, url string, headers ...string) *http.Response {
	t.Helper()
	return request(t, h, http.MethodGet, url, headers...)
}

func request(t testing.TB, h http.Handler, method, url string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// sri and nix32 are the forms of a digest that Nix prints.
func sri(d attestation.Digest) string {
	return "sha256-" + base64.StdEncoding.EncodeToString(d[:])
}

func nix32(d attestation.Digest) string { return nixbase32.EncodeToString(d[:]) }
