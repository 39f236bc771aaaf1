package dashboard_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
)

// pageURLs are all pages, over the sample.
func pageURLs() []string {
	return []string{
		"/", "/?set=nixos-minimal", "/divergences", "/divergences?shape=split&cause=own", "/builds" + dashboardtest.DRV("openssl-3.5.4"),
		"/builders", "/builders/" + string(dashboardtest.ID("alder")), "/coverage", "/coverage?set=nixos-minimal", "/status", "/method", "/docs/problems", "/docs/api", "/search", "/search?q=util",
		"/sets", "/sets/nixos-minimal", "/sets/nixos-minimal/26.05.1820", "/sets/nixos-minimal/26.05.1960",
		"/packages", "/packages?q=e", "/packages?q=none", "/packages/openssl", "/packages/perl?ecosystem=nix", "/maintainers", "/maintainers?q=none", "/maintainers/ada",
		"/data", "/data?q=lines&chart=line&title=Mine", "/data?q=bars&chart=bar", "/data?q=heat&chart=heatmap", "/data?q=bins&chart=histogram",
		"/data/questions", "/data/questions/half-life",
		"/subscriptions/anna/confirm?token=right", "/subscriptions/anna/unsubscribe?token=right",
	}
}

func TestHeaders(t *testing.T) {
	engine := serve(t, sample())
	for _, path := range append(pageURLs(), "/nowhere", "/divergences?shape=round", "/builders/me") {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			response := request(t, engine, method, path)
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'",
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
				"Content-Type":            "text/html; charset=utf-8",
				"Cache-Control":           "no-cache",
			} {
				if got := response.Header.Get(name); !strings.HasPrefix(got, want) {
					t.Errorf("%s %s: %s is %q, want %q", method, path, name, got, want)
				}
			}
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("%s %s: other origins may read a page", method, path)
			}
		}
	}
}

var (
	link      = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)
	inlined   = regexp.MustCompile(`(?i) style=| on[a-z]+="|<style|<script>|javascript:`)
	chartSVG  = regexp.MustCompile(`(?s)<svg.*?</svg>`)
	quoted    = regexp.MustCompile(`="[^"]*"`)
	handler   = regexp.MustCompile(`<[^>]* on[a-z]+=`)
	anchorIDs = regexp.MustCompile(` id="([^"]*)"`)
)

// TestLinks follows every link of every page that this package answers, and
// finds no inline style or script, and no other origin's.
func TestLinks(t *testing.T) {
	engine := serve(t, sample())
	seen := map[string]bool{}
	for _, path := range pageURLs() {
		body := text(t, get(t, engine, path))
		if found := inlined.FindString(body); found != "" {
			t.Errorf("%s has %q inline", path, found)
		}
		for _, m := range link.FindAllStringSubmatch(body, -1) {
			target := html.UnescapeString(m[1])
			if strings.HasPrefix(target, "#") {
				if !strings.Contains(body, ` id="`+target[1:]+`"`) {
					t.Errorf("%s links to %s, which it has not", path, target)
				}
				continue
			}
			// The log is served by the aggregator; c2sp.org is a link, not a request.
			if seen[target] || strings.HasPrefix(target, "/log/") || strings.HasPrefix(target, "https://c2sp.org/") {
				continue
			}
			seen[target] = true
			address, fragment, _ := strings.Cut(target, "#")
			response := get(t, engine, address)
			if response.StatusCode == http.StatusSeeOther { // a search that found one thing
				address, _, _ = strings.Cut(response.Header.Get("Location"), "#")
				response = get(t, engine, address)
			}
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s links to %s: status %d", path, target, response.StatusCode)
			}
			if fragment != "" && !strings.Contains(text(t, response), ` id="`+fragment+`"`) {
				t.Errorf("%s links to %s: no such place on that page", path, target)
			}
		}
		for _, chart := range chartSVG.FindAllString(body, -1) {
			if !strings.Contains(chart, "<title") || !strings.Contains(chart, "<desc") {
				t.Errorf("%s: a chart without title and description: %.200s", path, chart)
			}
		}
		ids := map[string]bool{}
		for _, m := range anchorIDs.FindAllStringSubmatch(body, -1) {
			if ids[m[1]] {
				t.Errorf("%s: id %q occurs twice", path, m[1])
			}
			ids[m[1]] = true
		}
	}
	if len(seen) < 60 {
		t.Errorf("followed only %d links", len(seen))
	}
}

// TestAssets are kept for ever under their names, and small.
func TestAssets(t *testing.T) {
	engine := serve(t, sample())
	body := text(t, get(t, engine, "/"))
	for pattern, limit := range map[string]int{`/static/style\.[0-9a-f]{12}\.css`: 8 << 10, `/static/app\.[0-9a-f]{12}\.js`: 5 << 10, `/static/icon\.[0-9a-f]{12}\.svg`: 1 << 10} {
		name := regexp.MustCompile(pattern).FindString(body)
		response := get(t, engine, name)
		if got := response.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		if size := gzipped(t, text(t, response)); size == 0 || size > limit {
			t.Errorf("%s: %d bytes gzipped, at most %d", name, size, limit)
		}
	}
}

// TestWeight holds on a page for which much has to be left out.
func TestWeight(t *testing.T) {
	const limit = 25 << 10
	check := func(source dashboard.Source, path string) {
		if size := gzipped(t, text(t, get(t, serve(t, source), path))); size > limit {
			t.Errorf("%s: %d bytes gzipped, at most %d", path, size, limit)
		} else {
			t.Logf("%s: %d bytes gzipped", path, size)
		}
	}
	for _, path := range pageURLs() {
		check(sample(), path)
	}
	large := dashboardtest.NewFake(dashboardtest.Large(time.Now(), 400, 50))
	for _, path := range []string{"/", "/divergences", "/builds" + dashboardtest.DRV("large"), "/builders", "/search?q=large"} {
		check(large, path)
	}
}

func gzipped(t *testing.T, body string) int {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Len()
}

// TestHostile loads every page of the hostile scenario: what strangers wrote
// must appear, and only as text.
func TestHostile(t *testing.T) {
	source := dashboardtest.NewFake(hostileScenario(time.Now()))
	engine := serve(t, source)
	sets, err := source.Sets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{
		"/", "/?set=" + url.QueryEscape(sets[0].Name), "/divergences", "/builders", "/builders/" + string(dashboardtest.ID("mallory")),
		"/status", "/search?q=" + url.QueryEscape(attack), "/search?q=out", "/divergences?maintainer=" + url.QueryEscape(attack),
		"/divergences?set=" + url.QueryEscape(sets[0].Name), "/sets", "/sets/" + url.PathEscape(sets[0].Name),
		"/sets/" + url.PathEscape(attack) + "/" + url.PathEscape(attack),
		"/packages", "/packages?q=" + url.QueryEscape(attack), "/maintainers", "/maintainers/" + url.PathEscape(attack),
		"/packages/" + url.PathEscape(attack), "/packages/%E2%80%AEolleh", "/maintainers/%E2%80%AEada", "/packages/pkg:nix/" + url.PathEscape(attack),
	}
	// Every package's page and maintainer's, by the links that lead to it.
	for list, pages := range map[string]string{"/packages": "/packages/", "/maintainers": "/maintainers/"} {
		for _, m := range link.FindAllStringSubmatch(text(t, get(t, engine, list)), -1) {
			if target := html.UnescapeString(m[1]); strings.HasPrefix(target, pages) {
				paths = append(paths, target)
			}
		}
	}
	// Every build's page, by the links that lead to it.
	for _, m := range link.FindAllStringSubmatch(text(t, get(t, engine, "/divergences")), -1) {
		if target := html.UnescapeString(m[1]); strings.HasPrefix(target, "/builds/") {
			path, _, _ := strings.Cut(target, "#")
			paths = append(paths, path)
		}
	}
	if len(paths) < 15 {
		t.Errorf("only %d pages", len(paths))
	}
	for _, path := range append(paths, "/builds/"+url.PathEscape(attack), "/?set="+url.QueryEscape(attack), "/builders/"+url.PathEscape(attack)) {
		response := get(t, engine, path)
		body := text(t, response)
		if response.StatusCode == http.StatusInternalServerError {
			t.Errorf("%s: %s", path, body)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "</title></textarea>", `href="javascript:`, `href="//`, `\x00`} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
		// Within quotes, everything is text.
		if found := handler.FindString(quoted.ReplaceAllString(body, `=""`)); found != "" {
			t.Errorf("%s has a tag with a handler: %s", path, found)
		}
		if size := gzipped(t, body); size > 25<<10 {
			t.Errorf("%s: %d bytes gzipped", path, size)
		}
	}
	if body := text(t, get(t, engine, "/builders")); !strings.Contains(body, "mallory&lt;script&gt;") {
		t.Error("the hostile operator is not shown at all")
	}
}

func TestSearch(t *testing.T) {
	engine := serve(t, sample())
	build := "/builds" + dashboardtest.DRV("hello-2.12.1")
	digest := dashboardtest.Digest("hello-2.12.1")
	for q, want := range map[string]string{
		dashboardtest.Out("hello-2.12.1", ""):          build + "#o-",
		" " + dashboardtest.DRV("hello-2.12.1") + "\n": build,
		digest.String():                   build + "#o-",
		digest.Hex():                      build + "#o-",
		strings.ToUpper(digest.Hex()):     build + "#o-",
		sri(digest):                       build + "#o-",
		"sha256:" + nix32(digest):         build + "#o-",
		nix32(digest):                     build + "#o-",
		string(dashboardtest.ID("alder")): "/builders/" + string(dashboardtest.ID("alder")),
	} {
		response := get(t, engine, "/search?q="+url.QueryEscape(q))
		if got := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got, want) {
			t.Errorf("search for %q: status %d, to %q, want %s", q, response.StatusCode, got, want)
		}
	}
	for q, want := range map[string]string{
		"UTIL":                                "3</span> outputs match",
		"no such package":                     "No output matches",
		"pkg:nix/hello@2.12.1":                dashboardtest.Out("hello-2.12.1", "")[44:],
		"pkg:nix/no-such-package":             "No output matches",
		dashboardtest.Digest("none").String(): "Nobody claimed this digest",
		"":                                    "Search",
		"ada":                                 `<dt>Maintainers</dt><dd><a href="/maintainers/ada">ada</a></dd>`,
		"MINIMAL":                             `<dt>Package sets</dt><dd><a href="/sets/nixos-minimal">nixos-minimal</a></dd>`,
		"university":                          `<dt>Operators</dt><dd><a href="/builders/` + string(dashboardtest.ID("dogwood")) + `">dogwood-university</a></dd>`,
		"openss":                              `<dt>Packages</dt><dd><a href="/packages/openssh?ecosystem=nix">openssh</a>, <a href="/packages/openssl?ecosystem=nix">openssl</a></dd>`,
		"e":                                   `<a href="/packages?q=e">more</a>`,
	} {
		response := get(t, engine, "/search?q="+url.QueryEscape(q))
		if body := text(t, response); response.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("search for %q: status %d, %q is not on the page", q, response.StatusCode, want)
		}
	}
	if response := get(t, engine, "/search?q="+strings.Repeat("x", 601)); response.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a search of 601 characters: status %d", response.StatusCode)
	}
}

// TestSearchPages: the pages of a search have every output once.
func TestSearchPages(t *testing.T) {
	const outputs = 130
	engine := serve(t, dashboardtest.NewFake(dashboardtest.Large(time.Now(), outputs, 2)))
	found := map[string]bool{}
	for path := "/search?q=large"; path != ""; {
		body := text(t, get(t, engine, path))
		_, table, _ := strings.Cut(body, "<tbody>")
		for _, m := range regexp.MustCompile(`<a class="name" href="([^"]*)"`).FindAllStringSubmatch(table, -1) {
			if found[m[1]] {
				t.Errorf("%s lists %s again", path, m[1])
			}
			found[m[1]] = true
		}
		path = ""
		if m := regexp.MustCompile(`rel="next" href="([^"]*)"`).FindStringSubmatch(body); m != nil {
			path = html.UnescapeString(m[1])
		}
	}
	if len(found) != outputs {
		t.Errorf("the pages of a search have %d outputs, want %d", len(found), outputs)
	}
	if response := get(t, engine, "/search?q=large&cursor=x"); response.StatusCode != http.StatusNotFound {
		t.Errorf("a search from nowhere: status %d", response.StatusCode)
	}
}

// broken fails, or panics, where the pages read most.
type broken struct {
	dashboard.Source
	err error
}

func (b broken) Summary(context.Context, string) (*dashboard.Summary, error) {
	if b.err == nil {
		panic("the index is on fire at /var/lib/secret")
	}
	return nil, b.err
}

// TestWrongFilter: a filter that nothing can have is said on the page with the form, which
// keeps the others; the links of the page leave the wrong one out.
func TestWrongFilter(t *testing.T) {
	engine := serve(t, sample())
	const good = "&maintainer=grace&ecosystem=nix&project=p%22%3E%3Cb%3E"
	for _, c := range []struct {
		wrong  string
		status int
		says   string
		typed  string // in the form
	}{
		{"shape=round", 422, "A divergence’s shape is self, scatter, outlier or split.", ""},
		{"cause=evil", 422, "A divergence’s cause is own, inherited or unknown.", ""},
		{"builder=me", 422, "32 characters", `name="builder" value="me"`},
		{"set=%3Cnone%3E", 404, "There is no package set named &#34;&lt;none&gt;&#34;.", `<option value="">all</option>`},
		{"cursor=x", 404, "This page of the list is gone.", ""},
	} {
		response := get(t, engine, "/divergences?"+c.wrong+good)
		body := text(t, response)
		said := strings.ReplaceAll(body, "&#39;", "’")
		if response.StatusCode != c.status || !strings.Contains(said, `role="alert">`) || !strings.Contains(said, c.says) || !strings.Contains(body, c.typed) {
			t.Errorf("%s: status %d, want %d, %q and %q in: %s", c.wrong, response.StatusCode, c.status, c.says, c.typed, body)
		}
		for _, kept := range []string{`name="maintainer" value="grace"`, `name="ecosystem" value="nix"`, `name="project" value="p&#34;&gt;&lt;b&gt;"`, `<button>Filter</button>`} {
			if !strings.Contains(body, kept) {
				t.Errorf("%s: the form has no %s", c.wrong, kept)
			}
		}
		links := regexp.MustCompile(`href="(/divergences\?[^"]*)"`).FindAllStringSubmatch(body, -1)
		for _, m := range links {
			if path := html.UnescapeString(m[1]); get(t, engine, path).StatusCode != http.StatusOK {
				t.Errorf("%s: its page links to %s", c.wrong, path)
			}
		}
		if len(links) < 7 {
			t.Errorf("%s: %d links with filters", c.wrong, len(links))
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, path string
		source     dashboard.Source
		status     int
		says       string
	}{
		{"nothing there", "/nowhere", sample(), 404, "There is no such page"},
		{"no set", "/?set=none", sample(), 404, "No package set named"},
		{"no page of a set", "/sets/none", sample(), 404, "No package set named"},
		{"no revision", "/sets/nixos-minimal/none", sample(), 404, "no revision"},
		{"no build", "/builds/none", sample(), 404, "Nobody attested"},
		{"no builder", "/builders/" + string(dashboardtest.ID("none")), sample(), 404, "No builder"},
		{"not a builder", "/builders/none", sample(), 404, "32 characters"},
		{"wrong filter", "/divergences?shape=round", sample(), 422, "self, scatter, outlier or split"},
		{"wrong builder", "/divergences?builder=me", sample(), 422, "32 characters"},
		{"wrong cursor", "/divergences?cursor=x", sample(), 404, "Begin at the newest"},
		{"fault", "/", broken{sample(), errors.New("reading /var/lib/secret: no such file")}, 500, "fault of the server"},
		{"panic", "/", broken{sample(), nil}, 500, "fault of the server"},
		{"slow", "/status", broken{sample(), context.DeadlineExceeded}, 503, "took too long"},
		{"method", "POST /", sample(), 405, "does not take POST requests"},
		{"API method", "DELETE /api/v1/summary", sample(), 405, "does not take DELETE requests"},
		{"API fault", "/api/v1/summary", broken{sample(), errors.New("reading /var/lib/secret: no such file")}, 500, "fault of the server"},
		{"API panic", "/api/v1/summary", broken{sample(), nil}, 500, "fault of the server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, path, found := strings.Cut(c.path, " ")
			if !found {
				method, path = http.MethodGet, c.path
			}
			response := request(t, serve(t, c.source), method, path)
			body := text(t, response)
			if response.StatusCode != c.status || !strings.Contains(body, c.says) {
				t.Errorf("status %d, want %d and %q in: %s", response.StatusCode, c.status, c.says, body)
			}
			if strings.Contains(body, "secret") {
				t.Error("the page tells internals")
			}
			if strings.HasPrefix(path, "/api/") {
				if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
					t.Errorf("Content-Type %q", got)
				}
			}
		})
	}
}

// TestProblemsPage explains every kind at its own place.
func TestProblemsPage(t *testing.T) {
	body := text(t, get(t, serve(t, sample()), "/docs/problems"))
	if n := strings.Count(body, `<section class="problem"`); n != len(api.ProblemKinds()) {
		t.Errorf("the page explains %d kinds, want %d", n, len(api.ProblemKinds()))
	}
	for _, kind := range api.ProblemKinds() {
		if !strings.Contains(body, `id="`+string(kind.Kind)+`"`) {
			t.Errorf("no place for %s", kind.Kind)
		}
	}
}

// TestCopyingPages name the copier, from whom, and the evidence, and nobody else.
func TestCopyingPages(t *testing.T) {
	engine := serve(t, dashboardtest.NewFake(dashboardtest.Copied(time.Now())))
	list := text(t, get(t, engine, "/builders"))
	if !strings.Contains(list, "Suspected copying") || !strings.Contains(list, `">magpie</a> from ash</li>`) || strings.Count(list, "from ash</li>") != 1 {
		t.Error("the page of builders does not say that magpie seems to copy from ash")
	}
	page := text(t, get(t, engine, "/builders/"+string(dashboardtest.ID("magpie"))))
	_, section, _ := strings.Cut(page, `id="copying"`)
	section, _, _ = strings.Cut(section, "</section>")
	if !strings.Contains(section, "From ash: the same on 6 of 6 such outputs") || strings.Count(section, ">dated-") != 6 {
		t.Error("the page of magpie's builder does not list the evidence")
	}
	for _, honest := range []string{"ash", "beech", "chestnut"} {
		if page := text(t, get(t, engine, "/builders/"+string(dashboardtest.ID(honest)))); strings.Contains(page, "copying") {
			t.Errorf("the page of %s speaks of copying", honest)
		}
	}
}

// TestStatusCountsRequests: the page says how many requests to be enrolled wait.
func TestStatusCountsRequests(t *testing.T) {
	if body := text(t, get(t, serve(t, sample()), "/status")); !strings.Contains(body, "wait for the operator: <b>3</b>") {
		t.Errorf("the page does not say that three wait:\n%s", body)
	}
}
