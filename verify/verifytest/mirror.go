package verifytest

import (
	"testing"
	"time"

	"repronet.dev/verify"
)

// FillMirror copies a ledger into a new mirror, and says how long fetching and
// indexing took. The caller closes the mirror.
func FillMirror(tb testing.TB, l *Ledger, pins *verify.Pins) (m *verify.Mirror, fetch, index time.Duration) {
	tb.Helper()
	m, err := verify.OpenMirror(tb.Context(), tb.TempDir(), l.Key.Verifier())
	if err != nil {
		tb.Fatal(err)
	}
	start := time.Now()
	fetched := start
	if err := pins.Update(tb.Context(), m, func(work string, done, total uint64) {
		if work == "fetching" && done == total {
			fetched = time.Now()
		}
	}); err != nil {
		tb.Fatal(err)
	}
	return m, fetched.Sub(start), time.Since(fetched)
}
