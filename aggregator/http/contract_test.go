package http_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/ecosystem"
)

// TestAPIDescribesItself checks each answer against the schema that the OpenAPI
// document, as it is served, gives for it.
func TestAPIDescribesItself(t *testing.T) {
	engine := serve(t, sample())
	document := document(t, engine)
	build := url.Values{"name": {dashboardtest.DRV("openssl-3.5.4")}}.Encode()
	output := url.Values{"name": {dashboardtest.Out("openssl-3.5.4", "")}}.Encode()
	for _, c := range []struct {
		url, path string
		status    int
	}{
		{"/api/v1/summary", "/api/v1/summary", 200},
		{"/api/v1/summary?set=nixos-minimal", "/api/v1/summary", 200},
		{"/api/v1/summary?set=none", "/api/v1/summary", 404},
		{"/api/v1/history", "/api/v1/history", 200},
		{"/api/v1/history?set=nixos-minimal", "/api/v1/history", 200},
		{"/api/v1/sets", "/api/v1/sets", 200},
		{"/api/v1/sets/nixos-minimal/revisions", "/api/v1/sets/{name}/revisions", 200},
		{"/api/v1/sets/nixos-minimal/revisions?limit=21", "/api/v1/sets/{name}/revisions", 422},
		{"/api/v1/sets/none/revisions", "/api/v1/sets/{name}/revisions", 404},
		{"/api/v1/sets/nixos-minimal/difference", "/api/v1/sets/{name}/difference", 200},
		{"/api/v1/sets/nixos-minimal/difference?revision=26.05.1820&limit=2", "/api/v1/sets/{name}/difference", 200},
		{"/api/v1/sets/nixos-minimal/difference?revision=none", "/api/v1/sets/{name}/difference", 404},
		{"/api/v1/changes", "/api/v1/changes", 200},
		{"/api/v1/changes?set=nixos-minimal&maintainer=ada&limit=1", "/api/v1/changes", 200},
		{"/api/v1/changes?set=none", "/api/v1/changes", 404},
		{"/api/v1/changes?shape=split", "/api/v1/changes", 422},
		{"/api/v1/packages", "/api/v1/packages", 200},
		{"/api/v1/packages?q=ssl&limit=1", "/api/v1/packages", 200},
		{"/api/v1/packages?cursor=nonsense", "/api/v1/packages", 404},
		{"/api/v1/packages/openssl", "/api/v1/packages/{name}", 200},
		{"/api/v1/packages/pkg:nix%2Fopenssl@3.5.4?limit=1", "/api/v1/packages/{name}", 200},
		{"/api/v1/packages/pkg:nix/openssl", "/api/v1/packages/{name}", 200},
		{"/api/v1/packages/openssl?ecosystem=debian", "/api/v1/packages/{name}", 404},
		{"/api/v1/packages/openssl?limit=0", "/api/v1/packages/{name}", 422},
		{"/api/v1/packages/openssl?cursor=nonsense", "/api/v1/packages/{name}", 404},
		{"/api/v1/packages/openssl?ecosytem=nix", "/api/v1/packages/{name}", 422},
		{"/api/v1/packages/" + strings.Repeat("x", 10_000), "/api/v1/packages/{name}", 422},
		{"/api/v1/maintainers", "/api/v1/maintainers", 200},
		{"/api/v1/maintainers?q=a&limit=1", "/api/v1/maintainers", 200},
		{"/api/v1/maintainers/ada", "/api/v1/maintainers/{name}", 200},
		{"/api/v1/maintainers/ada?limit=many", "/api/v1/maintainers/{name}", 422},
		{"/api/v1/maintainers/nobody", "/api/v1/maintainers/{name}", 404},
		{"/api/v1/maintainers/" + strings.Repeat("x", 10_000), "/api/v1/maintainers/{name}", 422},
		{"/api/v1/divergences?package=openssl&ecosystem=nix", "/api/v1/divergences", 200},
		{"/api/v1/builds?" + build, "/api/v1/builds", 200},
		{"/api/v1/builds?name=none", "/api/v1/builds", 404},
		{"/api/v1/builds", "/api/v1/builds", 422},
		{"/api/v1/outputs?" + output, "/api/v1/outputs", 200},
		{"/api/v1/outputs?digest=" + dashboardtest.Digest("hello-2.12.1").String(), "/api/v1/outputs", 200},
		{"/api/v1/outputs?digest=" + dashboardtest.Digest("nobody's").String(), "/api/v1/outputs", 200},
		{"/api/v1/outputs?digest=sha256:12", "/api/v1/outputs", 422},
		{"/api/v1/outputs?name=" + ecosystem.StoreHash(dashboardtest.Out("openssl-3.5.4", "")), "/api/v1/outputs", 200},
		{"/api/v1/outputs?name=" + path.Base(dashboardtest.Out("openssl-3.5.4", "")), "/api/v1/outputs", 200},
		{"/api/v1/outputs?name=" + strings.Repeat("a", 32), "/api/v1/outputs", 404},
		{"/api/v1/outputs?purl=pkg:nix/openssl@3.5.4", "/api/v1/outputs", 200},
		{"/api/v1/outputs?purl=pkg:npm/left-pad", "/api/v1/outputs", 422},
		{"/api/v1/outputs?purl=pkg:nix/openssl&digest=x", "/api/v1/outputs", 422},
		{"/api/v1/outputs", "/api/v1/outputs", 422},
		{"/api/v1/divergences", "/api/v1/divergences", 200},
		{"/api/v1/divergences?shape=outlier&cause=own&set=nixos-minimal&maintainer=ada&limit=1000", "/api/v1/divergences", 200},
		{"/api/v1/divergences?limit=1001", "/api/v1/divergences", 422},
		{"/api/v1/divergences?limit=0", "/api/v1/divergences", 422},
		{"/api/v1/divergences?limit=many", "/api/v1/divergences", 422},
		{"/api/v1/divergences?shape=round", "/api/v1/divergences", 422},
		{"/api/v1/divergences?builder=me", "/api/v1/divergences", 422},
		{"/api/v1/divergences?cursor=nonsense", "/api/v1/divergences", 404},
		{"/api/v1/divergences?shpae=split", "/api/v1/divergences", 422},
		{"/api/v1/builders", "/api/v1/builders", 200},
		{"/api/v1/agreement", "/api/v1/agreement", 200},
		{"/api/v1/builders/" + string(dashboardtest.ID("alder")), "/api/v1/builders/{id}", 200},
		{"/api/v1/builders/" + string(dashboardtest.ID("nobody")), "/api/v1/builders/{id}", 404},
		{"/api/v1/builders/me", "/api/v1/builders/{id}", 422},
		{"/api/v1/entries/999999999", "", 404},
		{"/api/v1/entries/-1", "", 422},
		{"/api/v1/nothing", "", 404},
	} {
		t.Run(c.url, func(t *testing.T) {
			response := get(t, engine, c.url)
			body := text(t, response)
			if response.StatusCode != c.status {
				t.Fatalf("status %d, want %d: %s", response.StatusCode, c.status, body)
			}
			var answer any
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if c.status != http.StatusOK {
				checkProblem(t, response, body)
				return
			}
			if response.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Error("no CORS header")
			}
			document.Check(t, "GET "+c.path, response, []byte(body))
			if strings.Contains(body, ":null") {
				t.Errorf("the answer has a null: %s", body)
			}
		})
	}
}

// checkProblem holds for every error of the API: a problem document whose type
// is explained on a page, and whose detail is a sentence.
func checkProblem(t *testing.T, response *http.Response, body string) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if p.Status != response.StatusCode || p.Title == "" || !strings.HasSuffix(p.Detail, ".") || len(p.Detail) < 20 {
		t.Errorf("not a problem that helps: %s", body)
	}
	known := false
	for _, kind := range api.ProblemKinds() {
		known = known || p.Type == api.ProblemsPath+"#"+string(kind.Kind)
	}
	if !known {
		t.Errorf("problem type %q is not documented", p.Type)
	}
	if response.Header.Get("ETag") != "" {
		t.Error("a problem has an ETag")
	}
}

// TestSummaryNames are those that other programs were promised.
func TestSummaryNames(t *testing.T) {
	var summary map[string]any
	if err := json.Unmarshal([]byte(text(t, get(t, serve(t, sample()), "/api/v1/summary"))), &summary); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"outputs", "compared", "reproduced", "diverged", "single", "builders", "operators", "attestations", "observations", "ledger_size", "indexed",
	} {
		if _, ok := summary[name].(float64); !ok {
			t.Errorf("summary has %v for %q, want a number", summary[name], name)
		}
	}
}

func TestETag(t *testing.T) {
	source := sample()
	engine := serve(t, source)
	const url = "/api/v1/divergences?limit=3"
	etag := get(t, engine, url).Header.Get("ETag")
	if etag == "" {
		t.Fatal("no ETag")
	}
	for header, want := range map[string]int{etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200, "": 200} {
		response := get(t, engine, url, "If-None-Match", header)
		if response.StatusCode != want {
			t.Errorf("If-None-Match %s: status %d, want %d", header, response.StatusCode, want)
		}
		if response.Header.Get("ETag") != etag {
			t.Errorf("If-None-Match %s: the answer has ETag %q, want %s", header, response.Header.Get("ETag"), etag)
		}
		if body := text(t, response); want == 304 && body != "" {
			t.Errorf("a 304 has the body %q", body)
		}
	}
	if other := get(t, engine, "/api/v1/divergences?limit=4").Header.Get("ETag"); other == etag {
		t.Error("another query has the same ETag")
	}
	source.Append(dashboardtest.Entry{Builder: "alder", Statement: dashboardtest.Failed(dashboardtest.DRV("new"), "No space.")})
	if response := get(t, engine, url, "If-None-Match", etag); response.StatusCode != 200 {
		t.Errorf("after another ledger entry: status %d, want 200", response.StatusCode)
	}
}

// behind is a source whose comparison of builders lags behind its index.
type behind struct {
	*dashboardtest.Fake
	compared uint64
}

func (b *behind) Watermark(ctx context.Context) (dashboard.Watermark, error) {
	w, err := b.Fake.Watermark(ctx)
	w.Compared = b.compared
	return w, err
}

// TestETagOfComparisons: an answer that is computed now and then is another one
// when it was computed again, though the index covers as much as before.
func TestETagOfComparisons(t *testing.T) {
	source := &behind{Fake: sample()}
	engine := serve(t, source)
	for _, url := range []string{"/api/v1/builders", "/api/v1/agreement", "/api/v1/builders/" + string(dashboardtest.ID("alder"))} {
		source.compared = 1
		etag := get(t, engine, url).Header.Get("ETag")
		if again := get(t, engine, url, "If-None-Match", etag); again.StatusCode != 304 {
			t.Errorf("%s: status %d, want 304", url, again.StatusCode)
		}
		source.compared = 2
		if again := get(t, engine, url, "If-None-Match", etag); again.StatusCode != 200 {
			t.Errorf("%s after another comparison: status %d, want 200", url, again.StatusCode)
		}
	}
}

func TestPagination(t *testing.T) {
	engine := serve(t, sample())
	var all, paged api.DivergencePage
	decode(t, get(t, engine, "/api/v1/divergences"), &all)
	if len(all.Divergences) < 5 || all.Total != uint64(len(all.Divergences)) {
		t.Fatalf("%d divergences of %d", len(all.Divergences), all.Total)
	}
	next := "/api/v1/divergences?limit=3"
	for pages := 0; next != ""; pages++ {
		if pages > len(all.Divergences) {
			t.Fatal("the pages do not end")
		}
		response := get(t, engine, next)
		var page api.DivergencePage
		decode(t, response, &page)
		if page.Total != all.Total {
			t.Errorf("total %d on a page, want %d", page.Total, all.Total)
		}
		paged.Divergences = append(paged.Divergences, page.Divergences...)
		link, found := strings.CutSuffix(response.Header.Get("Link"), `>; rel="next"`)
		if found != (page.Next != "") {
			t.Fatalf("Link %q beside next %q", response.Header.Get("Link"), page.Next)
		}
		next = strings.TrimPrefix(link, "<")
	}
	if len(paged.Divergences) != len(all.Divergences) {
		t.Fatalf("%d divergences by pages, %d at once", len(paged.Divergences), len(all.Divergences))
	}
	for i := range all.Divergences {
		if all.Divergences[i].Key != paged.Divergences[i].Key {
			t.Errorf("divergence %d is %s by pages, %s at once", i, paged.Divergences[i].Key, all.Divergences[i].Key)
		}
	}
}

func decode(t *testing.T, response *http.Response, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, response)), into); err != nil {
		t.Fatal(err)
	}
}

func TestEntry(t *testing.T) {
	response := get(t, serve(t, sample()), "/api/v1/entries/20")
	if body := text(t, response); response.StatusCode != 200 || body != `{"bundle":1}` {
		t.Fatalf("status %d, body %s", response.StatusCode, body)
	}
	for name, want := range map[string]string{
		"Content-Type":  "application/vnd.dev.sigstore.bundle.v0.3+json",
		"Cache-Control": "public, max-age=31536000, immutable",
		"Repronet-Kind": "attestation",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
