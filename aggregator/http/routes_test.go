package http_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/api/apitest"
	"repronet.dev/dashboard/dashboardtest"
)

func document(t *testing.T, h http.Handler) *apitest.Document {
	t.Helper()
	response := get(t, h, api.OpenAPIPath)
	body := []byte(text(t, response))
	d := apitest.Open(t, body)
	d.Check(t, "GET "+api.OpenAPIPath, response, body)
	return d
}

// TestEachRouteIsDescribed: the document and the router cannot differ, in either
// direction.
func TestEachRouteIsDescribed(t *testing.T) {
	server := serve(t, sample())
	var served []string
	for _, r := range server.Routes() {
		if r.Method != http.MethodHead && (strings.HasPrefix(r.Path, "/api/") || strings.HasPrefix(r.Path, "/log/") || strings.HasPrefix(r.Path, api.SnapshotFilesPath)) {
			served = append(served, r.Method+" "+r.Path)
		}
	}
	slices.Sort(served)
	if diff := cmp.Diff(served, document(t, server).Operations()); diff != "" {
		t.Errorf("(-served +described):\n%s", diff)
	}
	if len(served) < 24 {
		t.Errorf("only %d routes", len(served))
	}
}

// TestRoutesWithSuffixes: a route whose path ends in a suffix has a name of its own, in the
// log and the metrics as well.
func TestRoutesWithSuffixes(t *testing.T) {
	server := serve(t, sample())
	for path, name := range map[string]string{
		"/sets/{name}": "set", "/sets/{name}.atom": "set-feed", "/sets/{name}/{revision}": "set-revision",
		"/badges/sets/{name}.svg": "set-badge", "/badges/sets/{name}.json": "set-badge-json",
	} {
		if !slices.Contains(server.Routes(), web.Route{Method: http.MethodGet, Path: path, Name: name}) {
			t.Errorf("there is no route %s at %s", name, path)
		}
	}
	get(t, server, "/sets/nixos-minimal")
	get(t, server, "/sets/nixos-minimal.atom")
	get(t, server, "/badges/sets/nixos-minimal.svg")
	get(t, server, "/badges/sets/nixos-minimal.gif")
	metrics := text(t, get(t, server, "/metrics"))
	for _, line := range []string{
		`repronet_http_requests_total{route="set",status="200"} 1`, `repronet_http_requests_total{route="set-feed",status="200"} 1`,
		`repronet_http_requests_total{route="set-badge",status="200"} 1`, `repronet_http_requests_total{route="none",status="404"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

// TestHead: what answers GET answers HEAD, with the same status and headers.
func TestHead(t *testing.T) {
	server := serve(t, sample())
	for _, path := range []string{
		"/", "/builders", "/docs/problems", "/favicon.ico", "/api/v1/summary", "/api/v1/divergences?limit=3", "/api/v1/divergences?limit=0",
		"/api/v1/builders/" + string(dashboardtest.ID("alder")), "/api/v1/entries/20", "/api/v1/openapi.json", "/log/key", "/healthz/live", "/metrics",
		"/nothing", "/api/nothing", "/sets/nixos-minimal", "/sets/nixos-minimal.atom", "/divergences.csv", "/badges/sets/nixos-minimal.svg", "/badges/sets/none.json",
	} {
		with := request(t, server, http.MethodGet, path, nil)
		without := request(t, server, http.MethodHead, path, nil)
		if with.StatusCode != without.StatusCode {
			t.Errorf("%s: GET has status %d, HEAD %d", path, with.StatusCode, without.StatusCode)
		}
		if diff := cmp.Diff(with.Header, without.Header); diff != "" {
			t.Errorf("%s (-GET +HEAD):\n%s", path, diff)
		}
	}
	for _, r := range server.Routes() {
		if r.Method == http.MethodGet && !slices.ContainsFunc(server.Routes(), func(o web.Route) bool { return o.Method == http.MethodHead && o.Path == r.Path }) {
			t.Errorf("%s does not answer HEAD", r.Path)
		}
	}
}

// TestSameMistakes: one mistake has one answer, wherever it is made.
func TestSameMistakes(t *testing.T) {
	server := serve(t, sample())
	for _, c := range []struct {
		request string
		kind    api.ProblemKind
	}{
		{"GET /api/v1/nothing", api.ProblemNotFound},
		{"GET /sets/none.atom", api.ProblemNotFound},
		{"GET /badges/sets/none", api.ProblemNotFound},
		{"POST /divergences.csv", api.ProblemMethodNotAllowed},
		{"GET /divergences.atom?limit=x", api.ProblemInvalidParameter},
		{"GET /api/nothing", api.ProblemNotFound},
		{"GET /log/nothing", api.ProblemNotFound},
		{"DELETE /api/v1/summary", api.ProblemMethodNotAllowed},
		{"GET /api/v1/attestations", api.ProblemMethodNotAllowed},
		{"POST /log/checkpoint", api.ProblemMethodNotAllowed},
		{"GET /api/v1/divergences?limit=x", api.ProblemInvalidParameter},
		{"GET /api/v1/entries/x", api.ProblemInvalidParameter},
		{"GET /api/v1/export/verdicts?size=x", api.ProblemInvalidParameter},
		{"GET /api/v1/map/proof?ecosystem=nix&name=x", api.ProblemInvalidParameter},
		{"GET /api/v1/map/proof", api.ProblemInvalidParameter},
		{"GET /api/v1/builders/x", api.ProblemInvalidParameter},
		{"GET /api/v1/enrolments/x", api.ProblemInvalidParameter},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		response := request(t, server, method, path, nil)
		body := text(t, response)
		checkProblem(t, response, body)
		if want := api.NewProblem(c.kind, ""); response.StatusCode != want.Status || !strings.Contains(body, want.Type+`"`) {
			t.Errorf("%s: %s, want %s", c.request, body, c.kind)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.request, name, got, want)
			}
		}
	}
}
