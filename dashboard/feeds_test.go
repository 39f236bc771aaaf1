package dashboard_test

import (
	"encoding/xml"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet.dev/dashboard/dashboardtest"
)

// An atom is a feed as its readers take it apart.
type atom struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string   `xml:"http://www.w3.org/2005/Atom id"`
	Title   string   `xml:"http://www.w3.org/2005/Atom title"`
	Updated string   `xml:"http://www.w3.org/2005/Atom updated"`
	Author  struct {
		Name string `xml:"http://www.w3.org/2005/Atom name"`
	} `xml:"http://www.w3.org/2005/Atom author"`
	Links   []atomLink  `xml:"http://www.w3.org/2005/Atom link"`
	Entries []atomEntry `xml:"http://www.w3.org/2005/Atom entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID         string     `xml:"http://www.w3.org/2005/Atom id"`
	Title      string     `xml:"http://www.w3.org/2005/Atom title"`
	Updated    string     `xml:"http://www.w3.org/2005/Atom updated"`
	Summary    string     `xml:"http://www.w3.org/2005/Atom summary"`
	Links      []atomLink `xml:"http://www.w3.org/2005/Atom link"`
	Categories []struct {
		Term string `xml:"term,attr"`
	} `xml:"http://www.w3.org/2005/Atom category"`
}

func hrefs(links []atomLink, rel string) []string {
	var list []string
	for _, l := range links {
		if l.Rel == rel {
			list = append(list, l.Href)
		}
	}
	return list
}

// readFeed reads a feed and holds it to RFC 4287: what has to be there, once, and absolute.
func readFeed(t *testing.T, engine http.Handler, path string) atom {
	t.Helper()
	response := get(t, engine, path)
	body := text(t, response)
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != "application/atom+xml; charset=utf-8" {
		t.Fatalf("%s: %s, %s: %s", path, response.Status, got, body)
	}
	var feed atom
	if err := xml.Unmarshal([]byte(body), &feed); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
	if strings.Contains(body, "<script") {
		t.Errorf("%s has tags of strangers: %s", path, body)
	}
	if feed.Title == "" || feed.Author.Name == "" || len(hrefs(feed.Links, "self")) != 1 || len(hrefs(feed.Links, "alternate")) != 1 {
		t.Errorf("%s has no title, author, or links: %+v", path, feed)
	}
	const base = "https://repro.example.org"
	if self := hrefs(feed.Links, "self")[0]; self != base+path {
		t.Errorf("%s says that it is %s", path, self)
	}
	seen := map[string]bool{}
	newest := time.Unix(0, 0)
	check := func(id, updated string, links []atomLink) {
		if u, err := url.Parse(id); err != nil || !u.IsAbs() || seen[id] {
			t.Errorf("%s: ID %q is no IRI, or occurs twice (%v)", path, id, err)
		}
		seen[id] = true
		at, err := time.Parse(time.RFC3339, updated)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		newest = latest(newest, at)
		for _, l := range links {
			if !strings.HasPrefix(l.Href, base+"/") {
				t.Errorf("%s links to %s", path, l.Href)
			}
		}
	}
	for _, e := range feed.Entries {
		check(e.ID, e.Updated, e.Links)
		if e.Title == "" || e.Summary == "" || len(e.Categories) != 1 || len(hrefs(e.Links, "alternate")) != 1 {
			t.Errorf("%s has an entry without what entries have: %+v", path, e)
		}
		if len([]rune(e.Title)) > 400 {
			t.Errorf("%s has a title of %d characters", path, len([]rune(e.Title)))
		}
	}
	if want := newest.UTC().Format(time.RFC3339); feed.Updated != want {
		t.Errorf("%s was updated %s, want that of its newest entry, %s", path, feed.Updated, want)
	}
	check(feed.ID, feed.Updated, feed.Links)
	return feed
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func titles(feed atom) []string {
	var list []string
	for _, e := range feed.Entries {
		list = append(list, e.Categories[0].Term+": "+e.Title)
	}
	return list
}

// TestFeeds: who follows a set hears what got worse and what got better, in their order, with
// links that lead to a page.
func TestFeeds(t *testing.T) {
	source := dashboardtest.NewFake(dashboardtest.Revised(time.Now()))
	engine := serve(t, source)
	set := readFeed(t, engine, "/sets/nixos-minimal.atom")
	want := []string{
		"diverged: micro-2.0.14 diverged: operators got different digests",
		"fixed: Fixed: perl-5.42.1 is reproduced, perl-5.42.0 diverged",
		"regressed: Regression: hello-2.12.2 diverged, hello-2.12.1 was reproduced",
		"revision: nixos-minimal: revision 26.05.1960",
	}
	if got := titles(set); len(got) < 10 || !slices.Equal(got[:len(want)], want) {
		t.Errorf("the feed of the set says %q", got)
	}
	all := readFeed(t, engine, "/divergences.atom")
	if got := titles(all); !slices.Contains(got, "fixed: sqlite-3.50.4 is reproduced, and diverges no more") || !slices.Contains(got, "diverged: hello-2.12.2 diverged: operators got different digests") {
		t.Errorf("the feed of divergences says %q", got)
	}
	for _, feed := range []atom{set, all} {
		for _, e := range feed.Entries {
			path, place, _ := strings.Cut(strings.TrimPrefix(hrefs(e.Links, "alternate")[0], "https://repro.example.org"), "#")
			page := get(t, engine, path)
			if page.StatusCode != http.StatusOK || place != "" && !strings.Contains(text(t, page), ` id="`+place+`"`) {
				t.Errorf("%q leads to %s#%s: %s", e.Title, path, place, page.Status)
			}
		}
	}
	// What is told stays, whatever comes after.
	source.Append(dashboardtest.Entry{At: time.Now(), Builder: "dogwood", Statement: dashboardtest.Rebuild(nil, dashboardtest.DRV("hello-2.12.1"), "", dashboardtest.Out("hello-2.12.1", ""), "late")})
	again := readFeed(t, engine, "/sets/nixos-minimal.atom")
	for _, e := range set.Entries {
		if i := slices.IndexFunc(again.Entries, func(o atomEntry) bool { return o.ID == e.ID }); i < 0 || again.Entries[i].Title != e.Title || again.Entries[i].Updated != e.Updated || again.Entries[i].Summary != e.Summary {
			t.Errorf("%q is another entry after one more claim", e.Title)
		}
	}
	if got := titles(readFeed(t, engine, "/divergences.atom?maintainer=nobody")); len(got) != 0 {
		t.Errorf("nobody's outputs diverge: %q", got)
	}
	if got := titles(readFeed(t, engine, "/divergences.atom?maintainer=ada&set=nixos-minimal")); len(got) == 0 || len(got) >= len(all.Entries) {
		t.Errorf("of a maintainer's outputs: %q", got)
	}
	readFeed(t, serve(t, dashboardtest.NewFake(&dashboardtest.Scenario{})), "/divergences.atom")
}

// TestFeedsAreLinked: a reader of feeds finds them by the address of the page.
func TestFeedsAreLinked(t *testing.T) {
	engine := serve(t, sample())
	for page, feed := range map[string]string{
		"/": "/divergences.atom", "/divergences": "/divergences.atom", "/divergences?maintainer=ada&shape=split": "/divergences.atom?maintainer=ada",
		"/sets/nixos-minimal": "/sets/nixos-minimal.atom", "/sets/nixos-minimal/26.05.1820": "/sets/nixos-minimal.atom", "/?set=nixos-minimal": "/sets/nixos-minimal.atom",
	} {
		head, _, _ := strings.Cut(html.UnescapeString(text(t, get(t, engine, page))), "</head>")
		found := false
		for line := range strings.Lines(head) {
			found = found || strings.HasPrefix(line, `<link rel="alternate" type="application/atom+xml" `) && strings.Contains(line, `href="`+feed+`"`)
		}
		if !found {
			t.Errorf("%s does not link to %s: %s", page, feed, head)
		}
	}
}

// TestHostileFeeds: what strangers wrote is text in a feed, and XML at all.
func TestHostileFeeds(t *testing.T) {
	s := hostileScenario(time.Now())
	s.Entries[len(s.Entries)-1].Set.Name = "release"
	s.Entries = append(s.Entries, dashboardtest.Entry{At: time.Now(), Builder: "mallory", Statement: dashboardtest.Rebuild(nil, "x\x00\u202e\xff]]>", "", "x\x00\u202e\xff]]>", "1")},
		dashboardtest.Entry{At: time.Now(), Builder: "trudy", Statement: dashboardtest.Rebuild(nil, "x\x00\u202e\xff]]>", "", "x\x00\u202e\xff]]>", "2")})
	engine := serve(t, dashboardtest.NewFake(s))
	feed := readFeed(t, engine, "/divergences.atom")
	if len(feed.Entries) < 7 || !strings.Contains(feed.Entries[0].Title, "x\uFFFD\uFFFD\uFFFD]]>") {
		t.Errorf("the feed has %d entries, the first %+v", len(feed.Entries), feed.Entries[0])
	}
	readFeed(t, engine, "/sets/release.atom")
	readFeed(t, engine, "/divergences.atom?"+url.Values{"maintainer": {attack}}.Encode())
}

// TestNamesOfSuffixes: a set that is called like a document beside another's page hides
// neither.
func TestNamesOfSuffixes(t *testing.T) {
	s := unbuiltScenario(time.Now())
	other := *s.Entries[0].Set
	other.Name, other.Revision = "release.atom", "2"
	s.Entries = append(s.Entries, dashboardtest.Entry{At: time.Now(), Set: &other})
	engine := serve(t, dashboardtest.NewFake(s))
	if title := readFeed(t, engine, "/sets/release.atom").Title; title != "Package set release" {
		t.Errorf("the feed of the set is %q", title)
	}
	if title := readFeed(t, engine, "/sets/release.atom.atom").Title; title != "Package set release.atom" {
		t.Errorf("the feed of the other set is %q", title)
	}
	if list := text(t, get(t, engine, "/sets")); !strings.Contains(list, `href="/sets/release.atom/2"`) || !strings.Contains(list, `href="/sets/release"`) {
		t.Errorf("the list of sets does not lead to both: %s", list)
	}
	if r := get(t, engine, "/sets/release.atom/2"); r.StatusCode != http.StatusOK {
		t.Errorf("the other set's page: %s", r.Status)
	}
	for path, want := range map[string]string{"/sets/release/": "/sets/release", "/sets/": "/sets"} {
		if r := get(t, engine, path); r.StatusCode != http.StatusMovedPermanently || r.Header.Get("Location") != want {
			t.Errorf("%s: %s, to %q", path, r.Status, r.Header.Get("Location"))
		}
	}
}

// TestBesideIsForPrograms: what is wrong with a document beside pages is a problem document,
// and a parameter that it has not is not passed over.
func TestBesideIsForPrograms(t *testing.T) {
	engine := serve(t, sample())
	for path, status := range map[string]int{
		"/sets/none.atom": 404, "/divergences.atom?set=none": 404, "/divergences.atom?shape=split": 422, "/sets/nixos-minimal.atom?x=1": 422,
		"/divergences.csv?shape=round": 422, "/divergences.csv?limit=0": 422, "/divergences.csv?limit=1001": 422, "/divergences.json?cursor=x": 404,
		"/divergences.json?shpae=split": 422, "/divergences.json?set=none": 404, "/divergences.xml": 404, "/badges/sets/nixos-minimal": 404,
		"/badges/sets/nixos-minimal.png": 404, "/badges/sets/.svg": 404, "/badges/nothing": 404,
	} {
		response := get(t, engine, path)
		body := text(t, response)
		if response.StatusCode != status || response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s, want %d: %s", path, response.Status, status, body)
		}
		if response.Header.Get("ETag") != "" || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a problem may be kept: %v", path, response.Header)
		}
	}
	for _, path := range []string{"/divergences.atom", "/sets/nixos-minimal.atom", "/divergences.csv", "/divergences.json"} {
		first := get(t, engine, path)
		etag := first.Header.Get("ETag")
		if etag == "" || first.Header.Get("Cache-Control") != "no-cache" || first.Header.Get("X-Content-Type-Options") != "nosniff" ||
			first.Header.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'" || first.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s has the headers %v", path, first.Header)
		}
		again := get(t, engine, path, "If-None-Match", etag)
		if body := text(t, again); again.StatusCode != http.StatusNotModified || body != "" || again.Header.Get("ETag") != etag {
			t.Errorf("%s again: %s, %q", path, again.Status, body)
		}
	}
}
