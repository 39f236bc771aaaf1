package http_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/ledger"
)

// serve is the router over a source that tests fill.
func serve(t testing.TB, source dashboard.Source) *web.Server {
	t.Helper()
	return serveParts(t, slog.New(slog.DiscardHandler), web.Parts{Source: source})
}

func serveParts(t testing.TB, logger *slog.Logger, parts web.Parts) *web.Server {
	t.Helper()
	now := time.Now()
	parts.Entry = func(context.Context, uint64) (*ledger.Entry, error) {
		return &ledger.Entry{Kind: ledger.Attestation, ReceivedAt: now, Body: []byte(`{"bundle":1}`)}, nil
	}
	server, err := web.New(web.Config{Logger: logger}, parts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func sample() *dashboardtest.Fake { return dashboardtest.NewFake(dashboardtest.Sample(time.Now())) }

func get(t testing.TB, h http.Handler, url string, headers ...string) *http.Response {
	t.Helper()
	return request(t, h, http.MethodGet, url, nil, headers...)
}

func request(t testing.TB, h http.Handler, method, url string, body io.Reader, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return served(h, r)
}

func served(h http.Handler, r *http.Request) *http.Response {
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
