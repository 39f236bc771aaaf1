package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"repronet.dev/dashboard/dashboardtest"
)

var tags = regexp.MustCompile(`<[^>]*>|\s+`)

// words is what a page says, without its tags.
func words(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page, _, _ = strings.Cut(page, "</main>")
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}

// TestSetPages: the page of a set says what each revision changed, and a revision's page
// which outputs that was.
func TestSetPages(t *testing.T) {
	engine := serve(t, dashboardtest.NewFake(dashboardtest.Revised(time.Now())))
	for path, says := range map[string][]string{
		"/sets": {"1 package set", "nixos-minimal 26.05.1960"},
		"/sets/nixos-minimal": {
			"Since 26.05.1820 : ↘ 1 regressed ↗ 1 fixed + 2 added − 3 removed → 3 changed What exactly?", "26.05.1820 1 month ago", "the first",
			"[![reproducible builds](https://repro.example.org/badges/sets/nixos-minimal.svg)](https://repro.example.org/sets/nixos-minimal)",
		},
		"/sets/nixos-minimal/26.05.1960": {
			"1 regressed, 1 fixed since 26.05.1820 . 62 outputs, published 50 minutes ago, on", "Regressed Reproduced in the revision before, diverged in this one.", "hello-2.12.1 ✓ reproduced",
			"Fixed Diverged in the revision before, reproduced in this one.", "perl-5.42.0 ≠ diverged", "Diverged, and new here", "micro-2.0.14", "Added", "jq-1.8.1", "Removed", "nano-8.7",
		},
		"/sets/nixos-minimal/26.05.1820": {"The first revision .", "Diverged, and new here"},
	} {
		response := get(t, engine, path)
		said := words(text(t, response))
		for _, want := range says {
			if response.StatusCode != http.StatusOK || !strings.Contains(said, want) {
				t.Errorf("%s: %s, %q is not in %s", path, response.Status, want, said)
			}
		}
	}
}

// TestEmptySets: a page with nothing to show says what to do.
func TestEmptySets(t *testing.T) {
	nothing := serve(t, dashboardtest.NewFake(&dashboardtest.Scenario{}))
	if said := words(text(t, get(t, nothing, "/sets"))); !strings.Contains(said, "No package set is published") || !strings.Contains(said, "repronet-aggregator sets publish NAME") {
		t.Errorf("without sets: %s", said)
	}
	s := unbuiltScenario(time.Now())
	unbuilt := serve(t, dashboardtest.NewFake(s))
	if said := words(text(t, get(t, unbuilt, "/sets/release"))); !strings.Contains(said, "No rate yet") || !strings.Contains(said, "repronet-reporter init --aggregator https://repro.example.org --operator YOUR-NAME --sets release") || !strings.Contains(said, "This is its first revision") {
		t.Errorf("with nothing built: %s", said)
	}
	s.Entries = append(s.Entries, dashboardtest.Entry{At: time.Now(), Set: &dashboardtest.Set{Name: "release", Revision: "end", Ecosystem: "nix"}})
	retired := serve(t, dashboardtest.NewFake(s))
	for path, want := range map[string]string{"/sets/release": "Retired", "/sets/release/end": "Retired since 1 . 0 outputs", "/sets/release/1": "The first revision"} {
		if said := words(text(t, get(t, retired, path))); !strings.Contains(said, want) {
			t.Errorf("%s of a set that is retired: %s", path, said)
		}
	}
}

// TestManyRevisions: the page of a set stays light, and says where the rest is.
func TestManyRevisions(t *testing.T) {
	s := &dashboardtest.Scenario{}
	for i := range 40 {
		set := &dashboardtest.Set{Name: "release", Revision: fmt.Sprintf("%d-%s", i, strings.Repeat("long", 40)), Ecosystem: "nix"}
		for m := range 300 {
			set.Members = append(set.Members, dashboardtest.Member{Key: dashboardtest.Out(fmt.Sprintf("p%d-%d", m, i), ""), Attribute: fmt.Sprint("p", m)})
		}
		s.Entries = append(s.Entries, dashboardtest.Entry{At: time.Now().Add(time.Duration(i-50) * time.Hour), Set: set})
	}
	engine := serve(t, dashboardtest.NewFake(s))
	page := text(t, get(t, engine, "/sets/release"))
	if n := strings.Count(page, "300 changed"); n != 9 || !strings.Contains(page, `href="/api/v1/sets/release/revisions?limit=20"`) {
		t.Errorf("the page shows %d revisions: %s", n, words(page))
	}
	if size := gzipped(t, page); size > 25<<10 {
		t.Errorf("the page has %d bytes gzipped", size)
	}
}

// TestHostileSetPages: what a set says of its members is text on its pages.
func TestHostileSetPages(t *testing.T) {
	s := hostileScenario(time.Now())
	s.Entries[len(s.Entries)-1].Set.Name = "release"
	next := *s.Entries[len(s.Entries)-1].Set
	next.Revision = "next" + attack
	next.Members = append([]dashboardtest.Member{{Key: "javascript:alert(4)^same", Attribute: "y" + attack, System: attack}}, next.Members[0])
	next.Members[1].Key = "-rf^out" + attack
	s.Entries = append(s.Entries, dashboardtest.Entry{At: time.Now(), Set: &next})
	engine := serve(t, dashboardtest.NewFake(s))
	paths := []string{"/sets", "/sets/release"}
	for _, m := range link.FindAllStringSubmatch(text(t, get(t, engine, "/sets/release")), -1) {
		if target := html.UnescapeString(m[1]); strings.HasPrefix(target, "/sets/release/") {
			paths = append(paths, target)
		}
	}
	if len(paths) < 4 {
		t.Errorf("only the pages %q", paths)
	}
	for _, path := range paths {
		response := get(t, engine, path)
		body := text(t, response)
		for _, bad := range []string{"<script>alert", "<img src=x", "</title></textarea>", `href="javascript:`, `href="//`} {
			if response.StatusCode != http.StatusOK || strings.Contains(body, bad) {
				t.Errorf("%s: %s, with %q", path, response.Status, bad)
			}
		}
		if found := handler.FindString(quoted.ReplaceAllString(body, `=""`)); found != "" {
			t.Errorf("%s has a tag with a handler: %s", path, found)
		}
	}
}
