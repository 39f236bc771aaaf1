package verify_test

import (
	"errors"
	"testing"

	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/reading/readingtest"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// TestNewerRules: a mirror takes in what only a newer program can read, and gives no
// verdict from there on. Each round says so again.
func TestNewerRules(t *testing.T) {
	for name, entry := range readingtest.Newer() {
		t.Run(name, func(t *testing.T) {
			l := verifytest.NewLedger(t)
			alice := l.Enrol("alice")
			l.Attest(alice, verifytest.Digest(1))
			l.Publish()
			pins := l.Pins(verifytest.Serve(t, l.Handler()))
			m, err := verify.OpenMirror(t.Context(), t.TempDir(), l.Key.Verifier())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if err := pins.Update(t.Context(), m, quiet); err != nil {
				t.Fatal(err)
			}
			at := l.Append(entry.Kind, entry.Body)
			l.Attest(l.Enrol("bob"), verifytest.Digest(2))
			size := l.Publish().Size
			for range 2 {
				err = pins.Update(t.Context(), m, quiet)
				newer, ok := errors.AsType[*reading.NewerError](err)
				if !ok || newer.Index != at || errors.Is(err, ledger.ErrInvalid) || m.Tree().Size() != size {
					t.Fatalf("update: %v; the mirror has %d entries", err, m.Tree().Size())
				}
				if _, err := m.Evidence(t.Context(), pins, "generic", verifytest.Output); !errors.Is(err, reading.ErrNewerRules) {
					t.Errorf("evidence: %v", err)
				}
				if _, err := pins.Sets(t.Context(), m, []string{"base"}); !errors.Is(err, reading.ErrNewerRules) {
					t.Errorf("sets: %v", err)
				}
			}
		})
	}
}
