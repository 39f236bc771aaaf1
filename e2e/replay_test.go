package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// testReplay computes what the aggregator publishes anew, and watches its ledger
// with the receipts of each volunteer.
func (b *builds) testReplay(t *testing.T) {
	c := identical(t, b.server)
	for operator, r := range b.reporters {
		said := c.run(t, 0, "monitor --once", "--mirror", c.mirror, "--reporter", r.Dir)
		if !strings.Contains(said, "nothing is wrong") {
			t.Errorf("with the receipts of %s, monitor says %s", operator, said)
		}
		if kept, err := filepath.Glob(filepath.Join(r.Dir, "spool", "receipts.jsonl")); err != nil || len(kept) != 1 {
			t.Errorf("%s kept no receipts: %v", operator, err)
		}
	}
}

// identical computes what an aggregator publishes anew, once by repronet-verify and once by the
// second implementation.
func identical(t *testing.T, s *server) checker {
	t.Helper()
	c := newChecker(t)
	c.run(t, 0, "pin", "--yes", "--aggregator", s.URL)
	said := c.run(t, 0, "replay", "--mirror", c.mirror, "--aggregator", s.URL)
	if !strings.Contains(said, "identical: ") {
		t.Errorf("replay says %s", said)
	}
	t.Log(said)
	independently(t, s)
	return c
}
