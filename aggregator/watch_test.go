package aggregator

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet.dev/ledger"
)

// TestWitnessOutage: a checkpoint without the quorum fails the job, whose failure people
// see, and both the outage and requests that wait are in the metrics.
func TestWitnessOutage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "witnesses")
	signers := []*ledger.WitnessSigner{must(ledger.NewWitnessSigner("one.example.org")), must(ledger.NewWitnessSigner("two.example.org"))}
	policy := fmt.Sprintf("witness one %s http://127.0.0.1:1/\nwitness two %s http://127.0.0.1:1/ # away, too\ngroup both 1 one two\nquorum both\n", signers[0], signers[1])
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Witnesses = file })
	w.enrol("alice")
	w.settle()
	checkpoint := w.log.Checkpoint()
	for _, job := range w.watchJobs() {
		err := job.Run(t.Context())
		if job.Name == "witnesses" && (err == nil || !strings.Contains(err.Error(), "one, two did not cosign")) || job.Name != "witnesses" && err != nil {
			t.Errorf("job %s: %v", job.Name, err)
		}
	}
	metrics := w.get("/metrics")
	for _, want := range []string{"\nrepronet_checkpoint_cosigned 0\n", "\nrepronet_pending_enrolments 0\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	now := time.Now()
	cosigned := *checkpoint
	cosigned.Text = slices.Concat(checkpoint.Text, signers[1].Cosign(checkpoint, now))
	if err := w.witnesses.check(&cosigned); err != nil {
		t.Errorf("with the quorum: %v", err)
	}
	if got := w.witnesses.seen["two"]; got.Unix() != now.Unix() || !w.witnesses.seen["one"].IsZero() {
		t.Errorf("seen %v", w.witnesses.seen)
	}
}
