package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/api"
)

// testManifests: reporters are asked what is in builds of which others got something else,
// and everybody sees which files differ: on the page, by the API, and by what a checker
// fetches and compares itself.
func (b *builds) testManifests(t *testing.T) {
	if b.set == "" {
		return // Nix alone has them; testNix says that it lacks
	}
	for operator, r := range b.reporters {
		command := exec.CommandContext(t.Context(), programs().Reporter(), "run", "--once", "--dir", r.Dir)
		command.Env = append(os.Environ(), "NIX_REMOTE=local?root="+filepath.Join(b.dir, operator, "store"))
		text, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(text), "others got something else of 7 outputs: 7 lists of files handed in, 0 outputs not here any more, 0 left") {
			t.Errorf("%s: %v\n%s", operator, err, text)
		}
	}
	var key string
	for k, e := range b.expected {
		if e.name == "halves^doc" {
			key = k
		}
	}
	found := get[*api.Differences](t, b.URL, "/manifests?output="+url.QueryEscape(key))
	if len(found.Manifests) != 3 || len(found.Pairs) != 2 {
		t.Fatalf("%+v", found)
	}
	for _, p := range found.Pairs {
		if p.Files != 4 || p.Differ != 1 || p.Listed[0].Path != "seed" {
			t.Errorf("%s and %s: %s", p.First.Operator, p.Second.Operator, p.String())
		}
	}
	for k, e := range b.expected { // what is in archives is compared too
		want := map[string]string{
			"archive-order^out": "the same members in another order", "archive-times^out": "the same members; their times or modes",
		}[e.name]
		if want == "" {
			continue
		}
		found := get[*api.Differences](t, b.URL, "/manifests?output="+url.QueryEscape(k))
		if len(found.Pairs) == 0 || !strings.Contains(found.Pairs[0].String(), want) || !slices.Equal(found.Pairs[0].Equivalent, []string{"archive/v1"}) {
			t.Errorf("%s: %+v", e.name, found.Pairs)
		}
		if page, err := fetch(t.Context(), b.URL+"/builds"+k); err != nil || !strings.Contains(string(page), `Equivalent after <a href="/method#equivalent">archive/v1</a>`) {
			t.Errorf("%v: the page does not say that the builds are equivalent", err)
		}
	}
	page, err := fetch(t.Context(), b.URL+"/builds"+key)
	if err != nil || !strings.Contains(string(page), "<b>1 of 4 files differ</b>") {
		t.Errorf("%v: the page does not say which files differ", err)
	}
	c := newChecker(t)
	c.run(t, 2, "difference", key) // nothing is pinned
	c.run(t, 0, "pin", "--yes", "--aggregator", b.URL)
	if said := c.run(t, 0, "difference", key); !strings.Contains(said, ": 1 of 4 files differ\n  seed: contents") {
		t.Error(said)
	}
	// Alice's own build is as she listed it, and another's is not.
	if said := c.run(t, 0, "difference", key, "--path", b.path("alice", key)); !strings.Contains(said, "alice and yours: 0 of 4 files differ") {
		t.Error(said)
	}
	if said := c.run(t, 0, "difference", key, "--path", "testdata"); !strings.Contains(said, "only in that of yours") {
		t.Error(said)
	}
	c.run(t, 64, "difference", "no key")
	c.run(t, 2, "difference", strings.Replace(key, "halves", "nobody", 1))
}
