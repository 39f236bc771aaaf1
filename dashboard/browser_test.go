package dashboard_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"repronet/dashboard/dashboardtest"
)

type variant struct {
	name  string
	width int64
	dark  bool
	noJS  bool
}

// variants are the ways in which people see a page.
var variants = []variant{
	{name: "light", width: 1280},
	{name: "dark", width: 1280, dark: true},
	{name: "narrow", width: 400},
	{name: "nojs", width: 1280, noJS: true},
}

// TestBrowser loads every page in Chromium in each variant, reads its answer
// from the DOM, and checks what only a browser knows: that nothing was blocked
// or failed, and that the page is not wider than its window. With
// REPRONET_SCREENSHOTS set to a directory it leaves pictures there.
func TestBrowser(t *testing.T) {
	chromium := findChromium(t)
	server := httptest.NewServer(serve(t, sample()))
	t.Cleanup(server.Close)
	empty := httptest.NewServer(serve(t, dashboardtest.NewFake(&dashboardtest.Scenario{})))
	t.Cleanup(empty.Close)
	large := httptest.NewServer(serve(t, dashboardtest.NewFake(dashboardtest.Large(time.Now(), 80, 20))))
	t.Cleanup(large.Close)
	hostile := httptest.NewServer(serve(t, dashboardtest.NewFake(hostileScenario(time.Now()))))
	t.Cleanup(hostile.Close)

	pages := []struct{ name, url, answer string }{
		{"overview", server.URL + "/", "reproduced"},
		{"set", server.URL + "/?set=nixos-minimal", "reproduced"},
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
		{"status", server.URL + "/status", "Up to date"},
		{"search", server.URL + "/search?q=util", "match"},
		{"method", server.URL + "/method", "How verdicts are computed"},
		{"problems", server.URL + "/docs/problems", "Problems"},
		{"api", server.URL + "/docs/api", "The API"},
		{"error", server.URL + "/nowhere", "Not found"},
		{"hostile", hostile.URL + "/", "reproduced"},
		{"hostile-divergences", hostile.URL + "/divergences", "diverged"},
	}

	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	t.Run("script", func(t *testing.T) { checkScript(t, browser) })
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			tab, stop := chromedp.NewContext(browser)
			defer stop()
			complaints := listen(t, tab)
			see(t, tab, v)
			tab, cancel := context.WithTimeout(tab, time.Minute)
			defer cancel()
			for _, p := range pages {
				answer := read(t, tab, p.url, "#answer")
				width, err := chromedp.Run(tab, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
				if err != nil {
					t.Fatalf("%s: measuring the page: %v", p.name, err)
				}
				savePicture(t, tab, p.name+"-"+v.name)
				if answer = strings.Join(strings.Fields(answer), " "); !strings.Contains(answer, p.answer) {
					t.Errorf("%s: the page answers %q, want %q in it", p.name, answer, p.answer)
				}
				if width > v.width {
					t.Errorf("%s: the page is %d pixels wide in a window of %d", p.name, width, v.width)
				}
				for len(complaints) > 0 {
					// Chromium itself reports the page that is meant to be missing.
					if c := <-complaints; p.name != "error" || !strings.Contains(c, "404") {
						t.Errorf("%s: Chromium says: %s", p.name, c)
					}
				}
			}
		})
	}
}

// checkScript sees a counter move and a copy button appear.
func checkScript(t *testing.T, browser context.Context) {
	t.Helper()
	source := sample()
	server := httptest.NewServer(serve(t, source))
	defer server.Close()
	tab, stop := chromedp.NewContext(browser)
	defer stop()
	before := read(t, tab, server.URL+"/", "[data-count=attestations]")
	source.Append(dashboardtest.Entry{At: time.Now(), Builder: "alder", Statement: dashboardtest.Failed(dashboardtest.DRV("new"), "No space.")})
	ctx, cancel := context.WithTimeout(tab, 20*time.Second)
	defer cancel()
	// A page that comes to the front asks at once.
	const moved = `document.dispatchEvent(new Event("visibilitychange")), document.querySelector(".moved[data-count=attestations]")?.textContent`
	for after := ""; after == ""; time.Sleep(50 * time.Millisecond) {
		found, err := chromedp.Run(ctx, chromedp.Evaluate[*string](moved))
		if err != nil {
			t.Fatalf("waiting for the counter: %v", err)
		}
		if found != nil {
			after = *found
		}
		if after == before {
			t.Errorf("the counter moved from %s to %s", before, after)
		}
	}
	if button := read(t, tab, server.URL+"/docs/api", ".command button"); button != "Copy" {
		t.Errorf("the copy button says %q", button)
	}
}

// read loads a page and returns the text of an element.
func read(t *testing.T, tab context.Context, url, selector string) string {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(tab, chromedp.Text(selector))
	if err != nil {
		t.Fatalf("%s: reading %s: %v", url, selector, err)
	}
	return found
}

// see makes a tab show pages as a variant says.
func see(t *testing.T, tab context.Context, v variant) {
	t.Helper()
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	metrics := emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: 900, DeviceScaleFactor: 1, Mobile: v.width < 600}
	_, err := chromedp.Call(tab, emulation.SetEmulatedMedia, media)
	if err == nil {
		_, err = chromedp.Call(tab, emulation.SetDeviceMetricsOverride, metrics)
	}
	if err == nil {
		_, err = chromedp.Call(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.noJS})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// listen collects what the browser would print on its console: blocked styles,
// scripts and requests, and errors.
func listen(t *testing.T, tab context.Context) <-chan string {
	t.Helper()
	complaints := make(chan string, 100)
	report := func(c string) {
		select {
		case complaints <- c:
		default: // one is enough to fail
		}
	}
	err := chromedp.Listen(tab, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			report(fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text, " ", e.Entry.URL))
		case *runtime.EventExceptionThrown:
			report(fmt.Sprint("exception: ", e.ExceptionDetails.Text))
		}
	})
	if err == nil {
		_, err = chromedp.Call(tab, log.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return complaints
}

func savePicture(t *testing.T, tab context.Context, name string) {
	t.Helper()
	directory := os.Getenv("REPRONET_SCREENSHOTS")
	if directory == "" {
		return
	}
	picture, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, name+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "NO BROWSER: the pages are not checked in a real one; install chromium (apt install chromium)"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
