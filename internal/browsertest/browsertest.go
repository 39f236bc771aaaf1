// Package browsertest gives tests a real Chromium, in the ways in which people
// see a page: light, dark, on a telephone, without JavaScript.
//
//	browser := browsertest.Start(t)
//	for _, v := range browsertest.Variants() {
//		tab := browser.Open(t, v)
//		answer := tab.Read(t, url, "#answer")
//		…
//
// Without Chromium a test is skipped, loudly, or fails where the environment has
// CI set.
package browsertest

import (
	"context"
	"fmt"
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

	"repronet.dev/internal/needtest"
)

// A Variant is a way of seeing pages.
type Variant struct {
	Name  string
	Width int64 // of the window in pixels
	Dark  bool
	NoJS  bool
}

// Variants returns those that every page has to stand.
func Variants() []Variant {
	return []Variant{
		{Name: "light", Width: 1280},
		{Name: "dark", Width: 1280, Dark: true},
		{Name: "narrow", Width: 400},
		{Name: "nojs", Width: 1280, NoJS: true},
	}
}

// A Browser is a Chromium without a window. It ends with the test.
type Browser struct{ context context.Context }

// Start starts a Chromium.
func Start(t *testing.T) *Browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(find(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return &Browser{browser}
}

func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	needtest.Lacking(t, "NO BROWSER: the pages are not checked in a real one; install chromium (apt install chromium)")
	return ""
}

// A Tab shows pages in one variant.
type Tab struct {
	context    context.Context
	complaints chan string
}

// tabTimeout bounds all that is done in a tab.
const tabTimeout = 2 * time.Minute

// Open opens a tab. It is closed when the test ends.
func (b *Browser) Open(t *testing.T, v Variant) *Tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(b.context)
	t.Cleanup(closeTab)
	tab := &Tab{complaints: make(chan string, 100)}
	tab.listen(t, ctx)
	show(t, ctx, v)
	ctx, cancel := context.WithTimeout(ctx, tabTimeout)
	t.Cleanup(cancel)
	tab.context = ctx
	return tab
}

// listen collects what the browser would print on its console.
func (tab *Tab) listen(t *testing.T, ctx context.Context) {
	t.Helper()
	report := func(c string) {
		select {
		case tab.complaints <- c:
		default: // one is enough to fail
		}
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			report(fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text, " ", e.Entry.URL))
		case *runtime.EventExceptionThrown:
			report(fmt.Sprint("exception: ", e.ExceptionDetails.Text))
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// show makes a tab show pages as a variant says.
func show(t *testing.T, ctx context.Context, v Variant) {
	t.Helper()
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	metrics := emulation.SetDeviceMetricsOverrideParams{Width: v.Width, Height: 900, DeviceScaleFactor: 1, Mobile: v.Width < 600}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media)
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, metrics)
	}
	if err == nil {
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.NoJS})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Show makes the tab show its page, and further ones, as another variant says.
func (tab *Tab) Show(t *testing.T, v Variant) {
	t.Helper()
	show(t, tab.context, v)
}

// Read loads a page and returns the text of an element, with single spaces.
func (tab *Tab) Read(t *testing.T, url, selector string) string {
	t.Helper()
	if err := chromedp.Do(tab.context, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(tab.context, chromedp.Text(selector))
	if err != nil {
		t.Fatalf("%s: reading %s: %v", url, selector, err)
	}
	return strings.Join(strings.Fields(found), " ")
}

// Evaluate returns the value of an expression of JavaScript in the page that was
// loaded last.
func Evaluate[T any](t *testing.T, tab *Tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(tab.context, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("evaluating %s: %v", expression, err)
	}
	return value
}

// Width returns how wide the page is in pixels.
func (tab *Tab) Width(t *testing.T) int64 {
	t.Helper()
	return Evaluate[int64](t, tab, "document.documentElement.scrollWidth")
}

// Complaints returns what the browser had to say since the last call: styles,
// scripts and requests that were blocked, and errors.
func (tab *Tab) Complaints() (complaints []string) {
	for len(tab.complaints) > 0 {
		complaints = append(complaints, <-tab.complaints)
	}
	return complaints
}

// Save leaves a picture of the whole page as a PNG file.
func (tab *Tab) Save(t *testing.T, file string) {
	t.Helper()
	picture, err := chromedp.Run(tab.context, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
