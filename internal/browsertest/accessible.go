package browsertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"

	"repronet.dev/internal/needtest"
)

// Axe returns the script of axe-core, which finds what keeps people from using a page. Its
// version is pinned in axe/package.json, and .ci/prepare fetches it.
func Axe(t *testing.T) string {
	t.Helper()
	directory := filepath.Join("internal", "browsertest", "axe")
	script, err := os.ReadFile(filepath.Join(needtest.Checkout(), directory, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		needtest.Lacking(t, "NO AXE: the pages are not checked for accessibility; run npm ci in "+directory)
	}
	return string(script)
}

// Violations returns what axe-core finds wrong with the page that was loaded last, by some of its
// rules, or by all if none is named (doc/rule-descriptions.md of axe-core): each with the rule,
// what that says, and the first elements that break it.
func (tab *Tab) Violations(t *testing.T, axe string, rules ...string) []string {
	t.Helper()
	options := map[string]any{"resultTypes": []string{"violations"}}
	if len(rules) > 0 {
		options["runOnly"] = rules
	}
	with, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	const told = `.then(found => found.violations.map(v => v.id + ": " + v.help + ": " +
		v.nodes.slice(0, 3).map(n => n.html.slice(0, 300) + " (" + n.failureSummary.replace(/\s+/g, " ") + ")").join("; ")))`
	if !Evaluate[bool](t, tab, `"axe" in window`) {
		Evaluate[bool](t, tab, axe+";true")
	}
	violations, err := chromedp.Run(tab.context, chromedp.Evaluate[[]string]("axe.run(document, "+string(with)+")"+told, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("running axe-core: %v", err)
	}
	return violations
}
