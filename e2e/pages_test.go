package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/internal/browsertest"
)

// testPages reads the answer of the four pages from a live aggregator in a
// browser, in every way of seeing them, and leaves pictures of them.
func (b *builds) testPages(t *testing.T) {
	browser := browsertest.Start(t)
	directory := os.Getenv(screenshotsEnv)
	if directory == "" {
		directory = t.TempDir()
	}
	count := map[string]int{}
	for _, e := range b.expected {
		count[e.verdict]++
	}
	_, diverged := b.keys()
	output := getOutput(t, b.URL, diverged)
	rate := 100 * float64(count["reproduced"]) / float64(len(b.expected))
	pages := []struct{ name, path, answer string }{
		{"overview", "/", fmt.Sprintf("%.1f %% reproduced", rate)},
		{"divergences", "/divergences", fmt.Sprintf("%d outputs diverged", count["diverged"])},
		{"build", "/builds/" + strings.TrimPrefix(output.Build, "/"), "1 diverged"},
		{"builders", "/builders", "3 operators count"},
	}
	for _, v := range browsertest.Variants() {
		t.Run(v.Name, func(t *testing.T) {
			tab := browser.Open(t, v)
			for _, p := range pages {
				if answer := tab.Read(t, b.URL+p.path, "#answer"); !strings.Contains(answer, p.answer) {
					t.Errorf("%s: the page answers %q, want %q in it", p.name, answer, p.answer)
				}
				tab.Save(t, filepath.Join(directory, p.name+"-"+v.Name+".png"))
				for _, c := range tab.Complaints() {
					t.Errorf("%s: Chromium says: %s", p.name, c)
				}
				if width := tab.Width(t); width > v.Width {
					t.Errorf("%s: the page is %d pixels wide in a window of %d", p.name, width, v.Width)
				}
			}
		})
	}
}
