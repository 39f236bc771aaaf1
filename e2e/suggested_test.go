package e2e

import (
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/needtest"
)

// suggestedSet has builds of which some are built with others, one that differs each time,
// and one that fails.
const suggestedSet = `{ tools }: let
  mk = name: script: derivation {
    inherit name; system = builtins.currentSystem; args = [ "sh" "-euc" script ];
    builder = "${builtins.path { name = "tools"; path = tools; }}/busybox";
  };
in rec {
  library = mk "library-1.0" "echo library > $out";
  tool = mk "tool-1.0" "read x < ${library}; echo tool with $x > $out";
  manual = mk "manual-1.0" "read x < ${tool}; echo about $x > $out";
  noise = mk "noise-1.0" "read u < /proc/sys/kernel/random/uuid; echo $u > $out";
  broken = mk "broken-1.0" "exit 3";
}
`

// joinByPage does what the page about coverage says, with a Nix store that has the
// derivations. What it returns has the reporter run once more.
func joinByPage(t *testing.T, server *server, store *network.NixStore) (runAgain func() string) {
	t.Helper()
	page, err := fetch(t.Context(), server.URL+"/coverage?set=demo")
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(t.TempDir(), "home")
	sh := newShell(t, "NIX_CONFIG=build-users-group =\nsubstituters =\n", "NIX_REMOTE=local?root="+store.Root, "REPRONET_REPORTER_DIR="+home)
	commands := commandPattern.FindAllStringSubmatch(string(page), -1)
	if len(commands) != 3 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for i, c := range commands {
		sh.terminal = i == 0 // it asks for consent
		r := sh.run(t, strings.ReplaceAll(html.UnescapeString(c[2]), "YOUR-NAME", "cedar"))
		if r.status != 0 && (i < 2 || !strings.Contains(r.said(), "statements acknowledged")) {
			t.Fatalf("%s: status %d: %s", c[2], r.status, r.said())
		}
		if i == 1 {
			pending := *decode[[]struct{ Builder string }](t, server.admin(t, "builders pending --json"))
			server.admin(t, "builders approve", pending[0].Builder)
			indexed(t, server.URL) // who was enrolled a moment ago is not known there yet
		}
	}
	return func() string { return sh.run(t, "repronet-reporter run --once").said() }
}

// TestSuggested: two operators build what is suggested to them until the set is decided.
func TestSuggested(t *testing.T) {
	t.Parallel()
	needtest.Program(t, "nix-build", "nix-bin")
	needtest.Root(t, "builds in stores of its own")
	server := startAggregator(t)
	dir := t.TempDir()
	tools, set := filepath.Join(dir, "tools"), filepath.Join(dir, "set")
	if err := network.PrepareTools(tools); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(set, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(set, "default.nix"), []byte(suggestedSet), 0o644); err != nil {
		t.Fatal(err)
	}
	// Who publishes the set builds nothing.
	publisher := &network.NixStore{Root: filepath.Join(dir, "publisher"), Set: set, Tools: tools}
	lines, err := publisher.EvalJobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "set.jsonl")
	if err := os.WriteFile(list, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Command(t.Context(), "sets publish", "--revision", "1", "--from", list, "demo"); err != nil {
		t.Fatal(err)
	}
	indexed(t, server.URL)
	operators := map[string]func(count int) (status int, said string){}
	for _, operator := range []string{"ash", "beech"} {
		r, err := network.NewReporter(t.Context(), server.Aggregator, t.TempDir(), operator, server.URL, "--sets", "demo")
		if err != nil {
			t.Fatal(err)
		}
		store := &network.NixStore{Root: filepath.Join(dir, operator), Set: set, Tools: tools}
		if _, err := store.EvalJobs(t.Context()); err != nil {
			t.Fatal(err)
		}
		sh := newShell(t, "NIX_CONFIG=build-users-group =\nsubstituters =\n")
		operators[operator] = func(count int) (int, string) {
			rebuilt := sh.run(t, fmt.Sprintf("repronet-reporter rebuild --dir %s --from 'local?root=%s' --store %s --suggested %d", r.Dir, store.Root, t.TempDir(), count))
			if err := r.Submit(t.Context()); err != nil {
				t.Fatal(err)
			}
			indexed(t, server.URL)
			return rebuilt.status, rebuilt.said()
		}
	}
	indexed(t, server.URL)
	summary := func() *api.Summary { return get[*api.Summary](t, server.URL, "/summary?set=demo") }

	if status, said := operators["ash"](1); status > 2 || !strings.Contains(said, "5 for a first") {
		t.Fatalf("status %d\n%s", status, said)
	}
	runAgain := joinByPage(t, server, publisher)
	indexed(t, server.URL)
	for range 5 {
		for _, operator := range []string{"ash", "beech"} {
			operators[operator](2)
		}
	}
	if s := summary(); s.Reproduced != 3 || s.Diverged != 1 || s.Unbuilt != 1 || s.Single != 0 || s.Failures != 3 {
		t.Errorf("in the end %+v", s)
	}
	runAgain() // by now the aggregator has seen that it differs, and asks for it
	// What differs each time differs in the one file that it is, by who built it twice.
	noise := get[*api.DivergencePage](t, server.URL, "/divergences").Divergences[0].Key
	found := get[*api.Differences](t, server.URL, "/manifests?output="+url.QueryEscape(noise))
	if len(found.Pairs) == 0 || found.Pairs[0].String() != "1 of 1 files differ: . (contents)" {
		t.Errorf("where %s differs: %+v", noise, found)
	}
	// There is nothing left to do, and the failure is not asked for again.
	if status, said := operators["ash"](5); status != 2 || !strings.Contains(said, "there is nothing to build") {
		t.Errorf("status %d\n%s", status, said)
	}
}
