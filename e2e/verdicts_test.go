package e2e

import (
	"encoding/json"
	"net/url"
	"testing"

	"repronet.dev/dashboard"
)

// testVerdicts asserts each verdict by its name, and the counts that follow.
func (b *builds) testVerdicts(t *testing.T) {
	diverged := map[string]bool{}
	want := map[string]uint64{"builders": 3, "operators": 3, "single": 0}
	for key, e := range b.expected {
		want["outputs"]++
		want["compared"]++
		want[e.verdict]++
		if e.verdict == "diverged" {
			diverged[key] = true
		}
		t.Run(e.name, func(t *testing.T) {
			o := getOutput(t, b.URL, key)
			if string(o.Verdict) != e.verdict || string(o.Cause) != e.cause || o.Operators != 3 {
				t.Errorf("%s is %s (%s, cause %q) by %d operators, want %s (cause %q) by 3", key, o.Verdict, o.Shape, o.Cause, o.Operators, e.verdict, e.cause)
			}
			if len(o.Claims) != 3 {
				t.Errorf("%s has %d claims, want 3", key, len(o.Claims))
			}
			// With three builders whose results all differ, nobody is the odd one out.
			if digests := map[string]int{"reproduced": 1, "diverged": 3}[e.verdict]; o.Digests != digests {
				t.Errorf("%s has %d digests, want %d", key, o.Digests, digests)
			}
		})
	}
	want["observations"] = 3 * want["outputs"]
	t.Run("summary", func(t *testing.T) {
		got := get[map[string]any](t, b.URL, "/summary")
		for name, n := range want {
			if got[name] != float64(n) {
				t.Errorf("the summary has %s: %v, want %d", name, got[name], n)
			}
		}
		for _, name := range []string{"outputs", "compared", "reproduced", "diverged", "single", "builders", "operators", "attestations", "observations", "ledger_size", "indexed"} {
			if _, ok := got[name].(float64); !ok {
				t.Errorf("the summary has no number %s: %v", name, got[name])
			}
		}
	})
	t.Run("divergences", func(t *testing.T) {
		page := get[*dashboard.DivergencePage](t, b.URL, "/divergences?set="+url.QueryEscape(b.set))
		for _, d := range page.Divergences {
			if !diverged[d.Key] {
				t.Errorf("%s is listed once more or is not diverged", d.Key)
			}
			delete(diverged, d.Key)
		}
		for key := range diverged {
			t.Errorf("%s is not listed", key)
		}
	})
}

// testFailure checks that a build that failed is one, and no divergence.
func (b *builds) testFailure(t *testing.T) {
	build := get[*dashboard.Build](t, b.URL, "/builds?name="+url.QueryEscape(failedBuild))
	if len(build.Failures) != 1 || build.Failures[0].Operator != "carol" || build.Failures[0].Failure != "the command exited with status 3" {
		text, _ := json.Marshal(build.Failures)
		t.Errorf("the failures of %s are %s", failedBuild, text)
	}
	if summary := get[*dashboard.Summary](t, b.URL, "/summary"); summary.Failures != 1 {
		t.Errorf("the summary counts %d failures, want 1", summary.Failures)
	}
}
