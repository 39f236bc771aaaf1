package e2e

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// outputKeys are the outputs that statements in the ledger name, sorted.
func outputKeys(t *testing.T, entries []*ledger.Entry) []string {
	t.Helper()
	keys := map[string]bool{}
	for _, e := range entries {
		if e.Kind != ledger.Attestation {
			continue
		}
		named, err := reading.PeekStatement(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		s := named.Statement
		if s.Type != attestation.Rebuild {
			continue
		}
		for _, subject := range s.Subjects {
			keys[subject.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// snapshot is what an API says of summaries, verdicts and history, byte for byte,
// by path. What it says of builders waits for a periodic roll-up.
func snapshot(t *testing.T, base string, keys []string) map[string]string {
	t.Helper()
	paths := []string{"/summary", "/history", "/sets", "/divergences?limit=1000"}
	for _, set := range get[[]dashboard.Set](t, base, "/sets") {
		paths = append(paths, "/summary?set="+set.Name, "/history?set="+set.Name, "/divergences?limit=1000&set="+set.Name)
	}
	for _, key := range keys {
		paths = append(paths, "/outputs?name="+url.QueryEscape(key)) // with its history
	}
	bodies := map[string]string{}
	for _, path := range paths {
		body, err := fetch(t.Context(), base+"/api/v1"+path)
		if err != nil {
			t.Fatal(err)
		}
		bodies[path] = string(body)
	}
	return bodies
}

// enrich adds to a load's history what moves earlier verdicts: package sets in
// two revisions, a revocation, and one that reaches back.
func enrich(t *testing.T, s *server, builders []signing.BuilderID) {
	t.Helper()
	for revision, outputs := range []int{30, 20} {
		var lines strings.Builder
		for n := range outputs {
			fmt.Fprintf(&lines, "load/p%d-1.0^bin\n", n)
		}
		list := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(list, []byte(lines.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Command(t.Context(), "sets publish", "--ecosystem", "generic", "--revision", fmt.Sprint(revision), "--from", list, "some"); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{string(builders[0]), "--reason", "key lost"}, {string(builders[1]), "--from", "60", "--reason", "never was independent"}} {
		if _, err := s.Command(t.Context(), "builders revoke", args...); err != nil {
			t.Fatal(err)
		}
	}
}

// testReindex rebuilds the index, in the server and beside it in batches of
// several sizes, and compares every answer of the API.
func testReindex(t *testing.T, s *server, batches ...int) {
	summary := indexed(t, s.URL)
	entries, _ := readLedger(t, s.URL, summary.LedgerSize)
	keys := outputKeys(t, entries)
	want := snapshot(t, s.URL, keys)
	t.Run("command", func(t *testing.T) {
		if _, err := s.Command(t.Context(), "reindex"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, snapshot(t, s.URL, keys)); diff != "" {
			t.Errorf("the API answers otherwise after reindexing (-before +after):\n%s", diff)
		}
	})
	for _, size := range batches {
		t.Run(fmt.Sprintf("batches of %d", size), func(t *testing.T) {
			started := time.Now()
			base := indexAgain(t, filepath.Join(s.Data, "ledger"), summary.LedgerSize, size)
			t.Logf("indexed %d entries in %v", summary.LedgerSize, time.Since(started).Round(time.Millisecond))
			if diff := cmp.Diff(want, snapshot(t, base, keys)); diff != "" {
				t.Errorf("the answers differ (-server +batches of %d):\n%s", size, diff)
			}
		})
	}
}

// indexAgain indexes a ledger's directory in an engine of this process, and
// serves its API.
func indexAgain(t *testing.T, dir string, size uint64, batch int) (base string) {
	t.Helper()
	attachments, err := ledger.OpenAttachments(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := directory{ledger.NewReader(ledger.Dir(dir), nil).Local(size), attachments}
	tables, err := store.Open(t.Context(), chdbtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tables.Close(); err != nil {
			t.Error(err)
		}
	})
	x, err := index.New(t.Context(), index.Config{MaxEntries: batch}, tables, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := web.New(web.Config{Logger: slog.New(slog.DiscardHandler)}, web.Parts{Source: query.New(tables, l, x), Entry: l.Entry})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	return server.URL
}

// directory is a ledger's directory, as the index reads a ledger.
type directory struct {
	tree        *ledger.Tree
	attachments *ledger.Attachments
}

func (d directory) Size() uint64 { return d.tree.Size() }

func (d directory) Entry(ctx context.Context, index uint64) (*ledger.Entry, error) {
	record, err := d.tree.Record(ctx, index)
	if err != nil {
		return nil, err
	}
	return record.Entry()
}

func (d directory) Entries(ctx context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error] {
	return func(yield func(*ledger.Entry, error) bool) {
		for record, err := range d.tree.Records(ctx, from, to) {
			var entry *ledger.Entry
			if err == nil {
				entry, err = record.Entry()
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func (d directory) Attachment(ctx context.Context, sum attestation.Digest) ([]byte, error) {
	return d.attachments.Get(ctx, ledger.AttachmentID(sum))
}

func (d directory) Erasures(ctx context.Context, from, to uint64) ([]attestation.Digest, error) {
	return reading.Erasures(d.tree.Records(ctx, from, to))
}
