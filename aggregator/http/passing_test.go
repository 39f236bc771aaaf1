package http_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
)

// TestPassOn: what only the writer can answer reaches it as it was sent, with whom it is
// from, and its answer comes back; without it the answer is that of a server that is away.
func TestPassOn(t *testing.T) {
	writer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-echo")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, strings.Join([]string{
			r.Method, r.URL.RequestURI(), r.Header.Get("X-Forwarded-For"), r.Header.Get(api.EntryVersionHeader), string(body),
		}, " "))
	}))
	s, err := web.New(web.Config{}, web.Parts{Writer: &web.Writer{Base: writer.URL, Transport: http.DefaultTransport}})
	if err != nil {
		t.Fatal(err)
	}
	follower := httptest.NewServer(s)
	defer follower.Close()
	ask := func(method, path, body string) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, follower.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(api.EntryVersionHeader, "2")
		request.Header.Set("X-Forwarded-For", "192.0.2.1") // which nobody believes
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(text)
	}
	for _, call := range []struct{ method, path, body string }{
		{http.MethodPost, api.SubmitPath, "a bundle"},
		{http.MethodPost, api.EvidencePath, "a document"},
		{http.MethodPost, api.EnrolmentsPath, "a request"},
		{http.MethodGet, api.EnrolmentsPath + "/abc", ""},
		{http.MethodGet, api.RosterPath, ""},
		{http.MethodGet, api.MapProofPath + "?ecosystem=nix&name=x", ""},
		{http.MethodGet, api.MapBucketPath("00000"), ""},
	} {
		response, text := ask(call.method, call.path, call.body)
		if want := call.method + " " + call.path + " 127.0.0.1 2 " + call.body; response.StatusCode != http.StatusTeapot ||
			response.Header.Get("Content-Type") != "application/x-echo" || text != want {
			t.Errorf("%s, %v: %q, want %q", response.Status, response.Header, text, want)
		}
	}
	if response, _ := ask(http.MethodGet, api.OpenAPIPath, ""); response.StatusCode != http.StatusOK {
		t.Errorf("its own answers are not its own: %s", response.Status)
	}
	writer.Close()
	response, text := ask(http.MethodPost, api.SubmitPath, "a bundle")
	var problem api.Problem
	if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Kind() != api.ProblemTryLater || response.Header.Get("Retry-After") == "" ||
		!strings.Contains(problem.Detail, "the ledger") {
		t.Errorf("without the writer: %s, %v: %s (%v)", response.Status, response.Header, text, err)
	}
}
