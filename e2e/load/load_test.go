package load

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb/chdbtest"
)

// sizes say how much is done.
type sizes struct {
	outputs         int // that were attested before
	set             int // outputs of the package set
	stalled         int // connections with bodies that do not end
	streams, peers  int // over libp2p
	alone, together time.Duration
}

// TestLoad attacks a server, and holds that those who are honest get what they ask for.
func TestLoad(t *testing.T) { attackAll(t, programs(t), nil) }

// attackAll measures each attack alone, and then all together. more adds to what is
// measured of all together.
func attackAll(t *testing.T, programs network.Programs, more func(f *figures)) {
	t.Helper()
	s := newSite(t, programs, &form)
	all := []figures{s.measure(t, "nothing", form.alone)}
	var names []string
	for _, a := range attacks() {
		all = append(all, s.measure(t, a.name, form.alone, a.name))
		names = append(names, a.name)
	}
	everything := s.measure(t, "all together", form.together, names...)
	if more != nil {
		more(&everything)
	}
	all = append(all, everything)
	t.Log("\n" + table(all))
	for i := range all {
		f := &all[i]
		switch missed := f.missed(); {
		case f.receipts == 0 || f.missing == f.receipts:
			t.Errorf("%s: no honest builder got a receipt", f.name)
		case goalsHold && len(missed) > 0:
			t.Errorf("%s: missed: %s", f.name, strings.Join(missed, ", "))
		}
	}
}

// measure runs attacks for a while, and measures what they cost.
func (s *site) measure(t *testing.T, name string, lasts time.Duration, attacks ...string) figures {
	t.Helper()
	f := figures{name: name}
	m, err := s.meter()
	if err != nil {
		t.Fatal(err)
	}
	attackers, err := (&assignment{s.target, attacks, lasts}).start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	w := honest(ctx, s)
	if err := attackers.Wait(); err != nil {
		t.Errorf("%s: the attackers ended with: %v", name, err)
	}
	if err := m.read(&f); err != nil {
		t.Fatalf("%s: the server is gone: %v", name, err)
	}
	f.receipt, f.page, f.receipts, f.missing = p99(w.receipts), p99(w.pages), len(w.receipts), w.missing
	t.Logf("%s: %d receipts, %d pages, %d answers missing; %v", name, len(w.receipts), len(w.pages), w.missing, w.last)
	return f
}

// programs returns the directory of the programs, which it builds unless they are given.
func programs(t *testing.T) network.Programs {
	t.Helper()
	t.Setenv("REPRONET_ENGINE", chdbtest.Library(t))
	if given := os.Getenv("REPRONET_BIN"); given != "" {
		dir, err := filepath.Abs(given)
		if err != nil {
			t.Fatal(err)
		}
		return network.Programs(dir)
	}
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", dir+"/", "repronet.dev/cmd/repronet-aggregator")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return network.Programs(dir)
}
