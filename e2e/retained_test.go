package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/e2e/network"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// TestRetained: a build that was made before its set's revision was published is reported
// after that, once. One that never comes into a set never leaves the machine.
func TestRetained(t *testing.T) {
	t.Parallel()
	s := startAggregator(t)
	dir := t.TempDir()
	member := func(name string) string { return "alice/" + name + "^bin" }
	publish := func(revision string, names ...string) {
		var list strings.Builder
		for _, name := range names {
			fmt.Fprintln(&list, member(name))
		}
		file := filepath.Join(dir, "set-"+revision)
		write(t, file, list.String())
		if _, err := s.Command(t.Context(), "sets publish", "base", "--ecosystem", "generic", "--revision", revision, "--from", file); err != nil {
			t.Fatal(err)
		}
		indexed(t, s.URL)
	}
	publish("1", "earlier")
	r, err := network.NewReporter(t.Context(), s.Aggregator, filepath.Join(dir, "reporter"), "alice", s.URL, "--sets", "base")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"early", "secret"} {
		made := filepath.Join(dir, name)
		write(t, made, name+" "+time.Now().String())
		if err := r.Attest(t.Context(), "--build", "alice/"+name, "--output", "bin="+made); err != nil {
			t.Fatal(err)
		}
	}
	// submit delivers what may leave, and says how many records stay.
	submit := func() int {
		// A filter is used for some minutes without asking for a newer one.
		filters, err := filepath.Glob(filepath.Join(r.Dir, "filters", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range filters {
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		status, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return status.Retained
	}
	// named counts the entries that name each output.
	named := func() map[string]int {
		counts := map[string]int{}
		entries, _ := readLedger(t, s.URL, 1)
		for i, e := range entries {
			if e.Kind != ledger.Attestation {
				continue
			}
			said, err := reading.Peek(uint64(i), e)
			if err != nil {
				t.Fatal(err)
			}
			for _, output := range said.Outputs {
				counts[output]++
			}
		}
		return counts
	}
	if left := submit(); left != 2 || len(named()) != 0 {
		t.Errorf("%d records are retained, and the ledger has %v; nothing of it is in a set", left, named())
	}
	publish("2", "earlier", "early")
	for range 2 {
		if left := submit(); left != 1 {
			t.Errorf("%d records are retained, want the one that is in no set", left)
		}
	}
	indexed(t, s.URL)
	if got := named(); got[member("early")] != 1 || len(got) != 1 {
		t.Errorf("the ledger has %v, want %s once", got, member("early"))
	}
}
