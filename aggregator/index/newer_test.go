package index_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/index"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/reading/readingtest"
	"repronet.dev/signing/signingtest"
)

// TestNewerRules: the index ends before an entry that only a newer program can read,
// says why, and has all that comes before it; made anew it ends there too.
func TestNewerRules(t *testing.T) {
	for name, entry := range readingtest.Newer() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := signingtest.Named("alice")
			w.enrol(alice, "alice", "counted")
			w.attest(alice, w.rebuild("generic", "p1", "x"))
			want := modelOf(w)
			at := w.append(entry.Kind, entry.Body)
			w.attest(alice, w.rebuild("generic", "p2", "y"))

			s := openStore(t)
			x := newIndex(t, index.Config{}, s, w.log)
			check := func(err error) {
				t.Helper()
				newer, ok := errors.AsType[*reading.NewerError](err)
				if !ok || newer.Index != at || !errors.Is(err, reading.ErrNewerRules) {
					t.Errorf("got %v, want that it stops at %d", err, at)
				}
				if diff := cmp.Diff(want, said(t, s), sameResult); diff != "" {
					t.Errorf("(-model of what comes before +index):\n%s", diff)
				}
			}
			check(x.CatchUp(t.Context()))
			check(x.Newer())
			if err := x.Reindex(t.Context()); err != nil {
				t.Fatal(err)
			}
			check(x.CatchUp(t.Context()))
			// A program that knows the entry goes on from there.
			w.log.entries[at] = &ledger.Entry{Kind: ledger.Rules, ReceivedAt: w.log.entries[at].ReceivedAt, Body: []byte(`{"version":1}`)}
			if err := x.CatchUp(t.Context()); err != nil || x.Newer() != nil {
				t.Errorf("upgraded: %v, %v", err, x.Newer())
			}
			if diff := cmp.Diff(modelOf(w), said(t, s), sameResult); diff != "" {
				t.Errorf("upgraded (-model +index):\n%s", diff)
			}
		})
	}
}
