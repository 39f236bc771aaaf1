package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"repronet.dev/dashboard"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/needtest"
	"repronet.dev/reading"
)

// nixVerdicts is what the package set in nixset shows when three builders build
// it, by attribute and output. What is not here is fixed-output.
var nixVerdicts = []expectation{
	{"application^out", "reproduced", ""},
	{"archive-order^out", "diverged", "own"},
	{"archive-sorted^out", "reproduced", ""},
	{"archive-times^out", "diverged", "own"},
	{"from-source^out", "reproduced", ""},
	{"greeting^out", "reproduced", ""},
	{"halves^doc", "diverged", "own"},
	{"halves^out", "reproduced", ""},
	{"hello^out", "reproduced", ""},
	{"kernel-info^out", "diverged", "own"},
	{"large^out", "reproduced", ""},
	{"library^dev", "reproduced", ""},
	{"library^out", "reproduced", ""},
	{"random-seed^out", "diverged", "own"},
	{"report^out", "diverged", "inherited"},
	{"stamped^out", "diverged", "own"},
	{"table^out", "reproduced", ""},
	{"words^out", "reproduced", ""},
}

// private is a derivation that is in no published set.
const private = `{ tools }: {
  secret = derivation {
    name = "secret-plans-1.0";
    system = builtins.currentSystem;
    builder = "${builtins.path { name = "tools"; path = tools; }}/busybox";
    args = [ "sh" "-c" "echo our own business > $out" ];
  };
}
`

// A nixJob is a line of nix-eval-jobs.
type nixJob struct {
	Attribute string            `json:"attr"`
	Drv       string            `json:"drvPath"`
	Outputs   map[string]string `json:"outputs"`
	Fixed     bool              `json:"fixed"`
}

// store is an operator's Nix store, with the post-build-hook of its reporter.
func (b *builds) store(ctx context.Context, operator, set string) (s *network.NixStore, err error) {
	s = &network.NixStore{Root: filepath.Join(b.dir, operator, "store"), Set: set, Tools: filepath.Join(b.dir, "tools")}
	if r, ok := b.reporters[operator]; ok {
		s.Hook, err = r.InstallHook(ctx)
	}
	return s, err
}

// buildNix publishes the package set and builds it in three stores.
func (b *builds) buildNix(t *testing.T) {
	set, err := filepath.Abs("nixset")
	if err != nil {
		t.Fatal(err)
	}
	if err := network.PrepareTools(filepath.Join(b.dir, "tools")); err != nil {
		t.Fatal(err)
	}
	publisher, err := b.store(t.Context(), "alice", set)
	if err != nil {
		t.Fatal(err)
	}
	b.publish(t, publisher)
	log := messages(t, "the builds")
	for _, operator := range operators {
		b.newReporter(t, operator)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for operator, r := range b.reporters {
		group.Go(func() error {
			store, err := b.store(ctx, operator, set)
			if err != nil {
				return err
			}
			if err := store.Build(ctx, "", log); err != nil {
				return err
			}
			if operator == "alice" {
				if err := b.buildPrivate(ctx, log); err != nil {
					return err
				}
			}
			return r.Submit(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// publish publishes the set, from what evaluation says of it.
func (b *builds) publish(t *testing.T, store *network.NixStore) {
	lines, err := store.EvalJobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(b.dir, "set.jsonl")
	if err := os.WriteFile(list, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Command(t.Context(), "sets publish", "--revision", "1", "--from", list, "demo"); err != nil {
		t.Fatal(err)
	}
	b.set = "demo"
	indexed(t, b.URL)
	keys := map[string]string{}
	for scanner := bufio.NewScanner(bytes.NewReader(lines)); scanner.Scan(); {
		var job nixJob
		if err := json.Unmarshal(scanner.Bytes(), &job); err != nil {
			t.Fatal(err)
		}
		for output, path := range job.Outputs {
			if job.Fixed {
				b.fixed = append(b.fixed, path)
			} else {
				keys[job.Attribute+"^"+output] = path
			}
		}
	}
	for _, e := range nixVerdicts {
		b.expected[keys[e.name]] = e
		delete(keys, e.name)
	}
	if len(keys) > 0 {
		t.Fatalf("nothing is expected of %v", keys)
	}
}

// buildPrivate builds what is in no set, with the same hook.
func (b *builds) buildPrivate(ctx context.Context, log io.Writer) error {
	dir := filepath.Join(b.dir, "private")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "default.nix"), []byte(private), 0o644); err != nil {
		return err
	}
	store, err := b.store(ctx, "alice", dir)
	if err != nil {
		return err
	}
	if err := store.Build(ctx, "secret", log); err != nil {
		return err
	}
	b.private, err = store.Output(ctx, "secret", "out")
	return err
}

// testNix looks at what only the Nix form has.
func (b *builds) testNix(t *testing.T) {
	if b.set == "" {
		needtest.Lacking(t, "NO NIX: Go programs were built instead; install nix-bin and busybox-static, and be root")
	}
	t.Run("summary", func(t *testing.T) {
		s := get[*dashboard.Summary](t, b.URL, "/summary?set="+b.set)
		// As many outputs as there are expectations: the fixed one is in no count.
		want := dashboard.Summary{
			Set: "demo", Revision: "1", Outputs: 18, Compared: 18, Reproduced: 11, Diverged: 7,
			Builders: s.Builders, Operators: s.Operators, Attestations: s.Attestations, Observations: s.Observations,
			Failures: s.Failures, LedgerSize: s.LedgerSize, Indexed: s.Indexed,
		}
		if *s != want {
			t.Errorf("the set's summary is %+v, want %+v", *s, want)
		}
	})
	t.Run("fixed", func(t *testing.T) {
		for _, key := range b.fixed {
			b.absent(t, key)
		}
		if len(b.fixed) != 1 {
			t.Errorf("the set has the fixed-output paths %q, want one", b.fixed)
		}
	})
	t.Run("private", func(t *testing.T) {
		b.absent(t, b.private)
		status, err := b.reporters["alice"].Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status.Retained != 1 || status.Waiting != 0 || status.Outbox != 0 {
			t.Errorf("alice's reporter retains %d records, and has %d records and %d statements left; want 1, 0, 0",
				status.Retained, status.Waiting, status.Outbox)
		}
	})
}

// absent checks that no entry of the ledger names an output, and that the API
// does not know a claim on it.
func (b *builds) absent(t *testing.T, key string) {
	t.Helper()
	if key == "" {
		t.Fatal("no key is given")
	}
	entries, _ := readLedger(t, b.URL, 1)
	for i, e := range entries {
		if named, err := reading.PeekStatement(e.Body); err == nil {
			for _, subject := range named.Statement.Subjects {
				if subject.Name == key {
					t.Errorf("ledger entry %d names %s", i, key)
				}
			}
		}
	}
	response, err := http.Get(b.URL + "/api/v1/outputs?name=" + url.QueryEscape(key))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("the API answers %s for %s, want 404", response.Status, key)
	}
}
