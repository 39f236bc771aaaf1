package replay_test

import (
	"errors"
	"testing"

	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/reading/readingtest"
	"repronet.dev/replay"
	"repronet.dev/verify/verifytest"
)

// TestNewerRules: a replay that meets what only a newer program can read comes to no
// verdict, also if what lists the ledger's entries ends there; one of the entries before
// does.
func TestNewerRules(t *testing.T) {
	for name, entry := range readingtest.Newer() {
		t.Run(name, func(t *testing.T) {
			l := verifytest.NewLedger(t)
			l.Attest(l.Enrol("alice"), verifytest.Digest(1))
			at := l.Append(entry.Kind, entry.Body)
			l.Fill(600, "bundles of their own")
			l.Enrol("bob") // not listed
			size := l.Publish().Size
			tree := ledger.NewReader(ledger.Dir(l.Dir), nil).Local(size)
			whole := replay.Ledger{Tree: tree, Roster: []uint64{0}, Size: size}
			_, err := replay.Read(t.Context(), replay.Config{Dir: t.TempDir()}, whole)
			newer, ok := errors.AsType[*reading.NewerError](err)
			if !ok || newer.Index != at || errors.Is(err, ledger.ErrInvalid) {
				t.Errorf("got %v, want that it is undecided from %d on", err, at)
			}
			whole.Size = at
			r, err := replay.Read(t.Context(), replay.Config{Dir: t.TempDir()}, whole)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Totals.Observations != 1 {
				t.Errorf("%+v", r.Totals)
			}
		})
	}
}
