package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// testReplay computes what the aggregator publishes anew, and watches its ledger
// with the receipts of each volunteer.
func (b *builds) testReplay(t *testing.T) {
	c := newChecker(t)
	c.run(t, 0, "pin", "--yes", "--aggregator", b.URL)
	if said := c.run(t, 0, "replay", "--mirror", c.mirror, "--aggregator", b.URL); !strings.HasPrefix(said, "identical") {
		t.Errorf("replay says %s", said)
	}
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
