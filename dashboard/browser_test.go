package dashboard_test

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/internal/browsertest"
)

// A browserPage is a page with a part of what it answers.
type browserPage struct{ name, url, answer string }

// TestBrowser loads every page in Chromium in each variant, reads its answer
// from the DOM, and checks what only a browser knows: that nothing was blocked
// or failed, and that the page is not wider than its window. With
// REPRONET_SCREENSHOTS set to a directory it leaves pictures there.
func TestBrowser(t *testing.T) {
	browser := browsertest.Start(t)
	server := httptest.NewServer(serve(t, sample()))
	t.Cleanup(server.Close)
	empty := httptest.NewServer(serve(t, dashboardtest.NewFake(&dashboardtest.Scenario{})))
	t.Cleanup(empty.Close)
	large := httptest.NewServer(serve(t, dashboardtest.NewFake(dashboardtest.Large(time.Now(), 80, 20))))
	t.Cleanup(large.Close)
	hostile := httptest.NewServer(serve(t, dashboardtest.NewFake(hostileScenario(time.Now()))))
	t.Cleanup(hostile.Close)
	copied := httptest.NewServer(serve(t, dashboardtest.NewFake(dashboardtest.Copied(time.Now()))))
	t.Cleanup(copied.Close)
	revised := httptest.NewServer(serve(t, dashboardtest.NewFake(dashboardtest.Revised(time.Now()))))
	t.Cleanup(revised.Close)
	published := httptest.NewServer(serve(t, dashboardtest.NewFake(unbuiltScenario(time.Now()))))
	t.Cleanup(published.Close)

	pages := []browserPage{
		{"overview", server.URL + "/", "reproduced"},
		{"set", server.URL + "/?set=nixos-minimal", "reproduced"},
		{"sets", revised.URL + "/sets", "1 package set"},
		{"set-page", revised.URL + "/sets/nixos-minimal", "reproduced"},
		{"set-revision", revised.URL + "/sets/nixos-minimal/26.05.1960", "1 regressed, 1 fixed since 26.05.1820"},
		{"set-first-revision", revised.URL + "/sets/nixos-minimal/26.05.1820", "The first revision"},
		{"sets-empty", empty.URL + "/sets", "No package set is published"},
		{"set-unbuilt", published.URL + "/sets/release", "No rate yet"},
		{"sets-hostile", hostile.URL + "/sets", "1 package set"},
		{"packages", revised.URL + "/packages", "Packages"},
		{"package", revised.URL + "/packages/hello", "1 diverges since"},
		{"package-plain", server.URL + "/packages/openssl", "reproduced by"},
		{"packages-empty", empty.URL + "/packages", "No package is known yet"},
		{"packages-hostile", hostile.URL + "/packages", "Packages"},
		{"maintainers", revised.URL + "/maintainers", "Maintainers"},
		{"maintainer", revised.URL + "/maintainers/ada", "1 regression"},
		{"maintainers-empty", empty.URL + "/maintainers", "No maintainer is named yet"},
		{"maintainer-hostile", hostile.URL + "/maintainers/" + url.PathEscape(attack), "Nothing"},
		{"empty", empty.URL + "/", "No attestations yet: how to begin"},
		{"divergences", server.URL + "/divergences", "diverged"},
		{"filtered", server.URL + "/divergences?shape=outlier&cause=own&maintainer=grace", "match"},
		{"build", server.URL + "/builds" + dashboardtest.DRV("openssl-3.5.4"), "1 diverged"},
		{"reproduced", server.URL + "/builds" + dashboardtest.DRV("hello-2.12.1"), "1 reproduced"},
		{"inherited", server.URL + "/builds" + dashboardtest.DRV("nftables-1.1.5"), "1 diverged"},
		{"large", large.URL + "/builds" + dashboardtest.DRV("large"), "diverged"},
		{"builders", server.URL + "/builders", "operators count"},
		{"agreement", large.URL + "/builders", "operators count"},
		{"builder", server.URL + "/builders/" + string(dashboardtest.ID("birch")), "counts"},
		{"copying", copied.URL + "/builders", "4 operators count"},
		{"copier", copied.URL + "/builders/" + string(dashboardtest.ID("magpie")), "copying"},
		{"coverage", server.URL + "/coverage", "would be decided by one more build"},
		{"coverage-empty", empty.URL + "/coverage", "No package set is published"},
		{"data", server.URL + "/data", "Ask the data"},
		{"data-line", server.URL + "/data?q=lines&chart=line&title=Mine", "Mine"},
		{"data-heatmap", server.URL + "/data?q=heat&chart=heatmap", "Ask the data"},
		{"data-hostile", server.URL + asking("q", attack, "title", attack, "chart", "bar"), "alert"},
		{"questions", server.URL + "/data/questions", "Questions that people ask"},
		{"question", server.URL + "/data/questions/half-life", "How long does a divergence last?"},
		{"status", server.URL + "/status", "Up to date"},
		{"search", server.URL + "/search?q=util", "match"},
		{"method", server.URL + "/method", "How verdicts are computed"},
		{"problems", server.URL + "/docs/problems", "Problems"},
		{"api", server.URL + "/docs/api", "The API"},
		{"error", server.URL + "/nowhere", "Not found"},
		{"hostile", hostile.URL + "/", "reproduced"},
		{"hostile-divergences", hostile.URL + "/divergences", "diverged"},
	}

	t.Run("accessible", func(t *testing.T) { checkAccessible(t, browser, pages) })
	t.Run("script", func(t *testing.T) { checkScript(t, browser) })
	t.Run("chart", func(t *testing.T) { checkChart(t, browser, server.URL+"/data?q=lines&chart=line") })
	for _, v := range browsertest.Variants() {
		t.Run(v.Name, func(t *testing.T) {
			tab := browser.Open(t, v)
			for _, p := range pages {
				// Names and numbers take room, which colours and scripts do not.
				if slices.Contains(alike(), p.name) && (v.Name == "dark" || v.Name == "nojs") && os.Getenv("REPRONET_SCREENSHOTS") == "" {
					continue
				}
				answer := tab.Read(t, p.url, "#answer")
				if !strings.Contains(answer, p.answer) {
					t.Errorf("%s: the page answers %q, want %q in it", p.name, answer, p.answer)
				}
				if width := tab.Width(t); width > v.Width {
					t.Errorf("%s: the page is %d pixels wide in a window of %d", p.name, width, v.Width)
				}
				if directory := os.Getenv("REPRONET_SCREENSHOTS"); directory != "" {
					tab.Save(t, filepath.Join(directory, "sample", p.name+"-"+v.Name+".png"))
				}
				for _, c := range tab.Complaints() {
					// Chromium itself reports the page that is meant to be missing.
					if p.name != "error" || !strings.Contains(c, "404") {
						t.Errorf("%s: Chromium says: %s", p.name, c)
					}
				}
			}
		})
	}
}

// alike are pages that are made of the same parts as another, with more, or with other names.
func alike() []string {
	return []string{
		"set", "filtered", "reproduced", "inherited", "large", "agreement", "hostile", "hostile-divergences", "sets-hostile", "packages-hostile", "maintainer-hostile",
	}
}

// checkAccessible has axe-core look at every page but those that are alike: by all of its rules,
// and in the dark at the colours again.
func checkAccessible(t *testing.T, browser *browsertest.Browser, pages []browserPage) {
	t.Helper()
	axe := browsertest.Axe(t)
	light, dark := browsertest.Variants()[0], browsertest.Variants()[1]
	pages = slices.DeleteFunc(slices.Clone(pages), func(p browserPage) bool { return slices.Contains(alike(), p.name) })
	for few := range slices.Chunk(pages, 10) { // a tab has to be done in its time
		tab := browser.Open(t, light)
		for _, p := range few {
			tab.Read(t, p.url, "#answer")
			for _, v := range tab.Violations(t, axe) {
				t.Errorf("%s: %s", p.name, v)
			}
			tab.Show(t, dark)
			for _, v := range tab.Violations(t, axe, "color-contrast") {
				t.Errorf("%s, dark: %s", p.name, v)
			}
			tab.Show(t, light)
		}
	}
}

// checkChart sees the lines of a chart on the screen.
func checkChart(t *testing.T, browser *browsertest.Browser, url string) {
	t.Helper()
	tab := browser.Open(t, browsertest.Variants()[0])
	tab.Read(t, url, "#answer")
	const drawn = `[...document.querySelectorAll("#chart .plot .line")].filter(l => l.getTotalLength() > 0 && l.getBoundingClientRect().width > 0 && getComputedStyle(l).stroke.startsWith("rgb")).length`
	if lines := browsertest.Evaluate[int](t, tab, drawn); lines != 2 {
		t.Errorf("Chromium draws %d lines, want 2", lines)
	}
}

// checkScript sees a counter move and a copy button appear.
func checkScript(t *testing.T, browser *browsertest.Browser) {
	t.Helper()
	source := sample()
	server := httptest.NewServer(serve(t, source))
	defer server.Close()
	tab := browser.Open(t, browsertest.Variants()[0])
	before := tab.Read(t, server.URL+"/", "[data-count=attestations]")
	source.Append(dashboardtest.Entry{At: time.Now(), Builder: "alder", Statement: dashboardtest.Failed(dashboardtest.DRV("new"), "No space.")})
	// A page that comes to the front asks at once.
	const moved = `document.dispatchEvent(new Event("visibilitychange")), document.querySelector(".moved[data-count=attestations]")?.textContent`
	var after *string
	for deadline := time.Now().Add(2 * time.Minute); after == nil; time.Sleep(50 * time.Millisecond) {
		if after = browsertest.Evaluate[*string](t, tab, moved); time.Now().After(deadline) {
			t.Fatal("the counter does not move")
		}
	}
	if *after == before {
		t.Errorf("the counter moved from %s to %s", before, *after)
	}
	if button := tab.Read(t, server.URL+"/docs/api", ".command button"); button != "Copy" {
		t.Errorf("the copy button says %q", button)
	}
}
