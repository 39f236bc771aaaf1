package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/e2e/network"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// kills is how often each program is killed.
const kills = 20

// TestKills kills the aggregator and a reporter under load, again and again, and
// then looks for everything that was acknowledged or spooled.
func TestKills(t *testing.T) {
	t.Parallel()
	s := startAggregator(t)
	r, err := network.NewReporter(t.Context(), s.Aggregator, filepath.Join(t.TempDir(), "reporter"), "spooler", s.URL, "--report", "all")
	if err != nil {
		t.Fatal(err)
	}
	l := newLoad(s.URL, logKey(t, s.URL))
	var loaders []*loader
	for i, operator := range []string{"alice", "alice", "bob", "carol"} {
		loaders = append(loaders, newLoader(t, l, s, operator, uint64(i)))
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	for _, loader := range loaders {
		group.Go(func() error { return loader.run(ctx) })
	}
	var spooled []string
	killing, killCtx := errgroup.WithContext(ctx)
	killing.Go(func() error { return killAggregator(killCtx, s, l) })
	killing.Go(func() (err error) {
		spooled, err = killReporter(killCtx, t, r)
		return err
	})
	err = killing.Wait()
	stop()
	// The loaders go on until the last of theirs is acknowledged.
	if loadErr := group.Wait(); loadErr != nil {
		t.Fatal(loadErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Submit(t.Context()); err != nil {
		t.Error(err)
	}
	summary := indexed(t, s.URL)
	entries, _ := readLedger(t, s.URL, summary.LedgerSize)
	t.Logf("%d kills of each: %d statements acknowledged, %d builds spooled, %d ledger entries", kills, len(l.acknowledged), len(spooled), len(entries))

	t.Run("ledger", func(t *testing.T) { checkLedger(t, entries, l, spooled) })
	t.Run("index", func(t *testing.T) { checkIndex(t, s.URL, entries, summary) })
	t.Run("spool", func(t *testing.T) { checkSpool(t, r) })
	t.Run("reindex", func(t *testing.T) {
		enrich(t, s, []signing.BuilderID{loaders[1].signer.Public().Builder(), loaders[2].signer.Public().Builder()})
		testReindex(t, s, 7) // other sizes: TestBuilds, whose ledger is shorter
	})
}

// killAggregator kills the server while statements are coming in, and sometimes
// while it is still starting, and starts it again.
func killAggregator(ctx context.Context, s *server, l *load) error {
	for i := range kills {
		select {
		case <-l.kick: // statements are being taken
		case <-time.After(time.Minute):
			return fmt.Errorf("after %d kills nothing is acknowledged any more", i)
		case <-ctx.Done():
			return ctx.Err()
		}
		time.Sleep(rand.N(300 * time.Millisecond))
		if err := s.Kill(); err != nil {
			return err
		}
		if i%3 == 2 {
			if err := killStarting(ctx, s); err != nil {
				return err
			}
		}
		if err := s.restart(ctx); err != nil {
			return err
		}
		select {
		case <-l.kick: // may be from before the kill
		default:
		}
	}
	return nil
}

// killStarting starts a server and kills it before it may be ready.
func killStarting(ctx context.Context, s *server) error {
	command := exec.CommandContext(ctx, s.Programs.Aggregator(), append([]string{"serve", "--data", s.Data}, s.args...)...)
	command.Stderr = s.log
	if err := command.Start(); err != nil {
		return err
	}
	time.Sleep(rand.N(700 * time.Millisecond))
	if err := command.Process.Kill(); err != nil {
		return err
	}
	_ = command.Wait() // it was killed
	return nil
}

// killReporter fills a spool and kills who empties it. It returns the keys of
// the outputs that were spooled.
func killReporter(ctx context.Context, t *testing.T, r *network.Reporter) (spooled []string, err error) {
	dir, log := t.TempDir(), messages(t, "the reporter")
	for i := range kills {
		for j := range 3 {
			build := fmt.Sprintf("spooler/%d-%d", i, j)
			path := filepath.Join(dir, "output")
			if err := os.WriteFile(path, []byte(build), 0o600); err != nil {
				return nil, err
			}
			if err := r.Attest(ctx, "--build", build, "--output", "bin="+path); err != nil {
				return nil, err
			}
			spooled = append(spooled, build+"^bin")
		}
		running, err := r.Run(ctx, log, "--interval", "100ms")
		if err != nil {
			return nil, err
		}
		time.Sleep(rand.N(600 * time.Millisecond))
		if err := running.Kill(); err != nil {
			return nil, err
		}
	}
	return spooled, nil
}

// checkLedger looks for every statement in the ledger, exactly once and where
// its receipt said, and for every spooled output.
func checkLedger(t *testing.T, entries []*ledger.Entry, l *load, spooled []string) {
	for payload := range l.statements {
		if _, ok := l.acknowledged[payload]; !ok {
			t.Errorf("statement %s is not acknowledged", payload)
		}
	}
	found := map[attestation.Digest]uint64{}
	var delivered []string
	for i, e := range entries {
		if i > 0 && e.ReceivedAt.Before(entries[i-1].ReceivedAt) {
			t.Errorf("entry %d was received before entry %d", i, i-1)
		}
		if e.Kind != ledger.Attestation {
			continue
		}
		_, payload, err := signing.Peek(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		if first, twice := found[payload]; twice {
			t.Errorf("statement %s is in the ledger at %d and at %d", payload, first, i)
		}
		found[payload] = uint64(i)
		if l.statements[payload] != nil {
			if index := l.acknowledged[payload]; index != uint64(i) {
				t.Errorf("statement %s was acknowledged at %d and is at %d", payload, index, i)
			}
			continue
		}
		named, err := reading.PeekStatement(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range named.Statement.Subjects {
			delivered = append(delivered, subject.Name)
		}
	}
	for payload, index := range l.acknowledged {
		if _, ok := found[payload]; !ok {
			t.Errorf("statement %s was acknowledged at %d and is not in the ledger", payload, index)
		}
	}
	slices.Sort(delivered)
	slices.Sort(spooled)
	if diff := cmp.Diff(spooled, delivered); diff != "" {
		t.Errorf("what arrived is not what was spooled (-spooled +arrived):\n%s", diff)
	}
}

// A claim is what the index and the ledger have to agree on.
type claim struct {
	Index   uint64
	Builder string
	Digest  string
}

// checkIndex compares the index with what a scan of the ledger finds.
func checkIndex(t *testing.T, base string, entries []*ledger.Entry, got *dashboard.Summary) {
	claims := map[string][]claim{}
	want := dashboard.Summary{LedgerSize: uint64(len(entries)), Indexed: uint64(len(entries))}
	builders := map[signing.BuilderID]bool{}
	for i, e := range entries {
		if e.Kind != ledger.Attestation {
			continue
		}
		named, err := reading.PeekStatement(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		builder, s := named.Builder, named.Statement
		want.Attestations++
		builders[builder] = true
		switch s.Type {
		case attestation.Rebuild:
			for _, subject := range s.Subjects {
				want.Observations++
				claims[subject.Name] = append(claims[subject.Name], claim{uint64(i), string(builder), subject.Digest.String()})
			}
		case attestation.BuildFailed:
			want.Failures += uint64(len(s.Builds))
		case attestation.Withdraw: // the claim stays, and does not count
		}
	}
	want.Builders, want.Operators = uint64(len(builders)), 4
	// The verdicts are the business of other tests.
	want.Outputs, want.Compared, want.Reproduced, want.Diverged, want.Single = got.Outputs, got.Compared, got.Reproduced, got.Diverged, got.Single
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("the summary is not what the ledger holds (-ledger +summary):\n%s", diff)
	}
	for key, want := range claims {
		o := get[*dashboard.Output](t, base, "/outputs?name="+url.QueryEscape(key))
		var got []claim
		for _, c := range o.Claims {
			got = append(got, claim{c.Index, c.Builder, c.Digest})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: claims differ (-ledger +index):\n%s", key, diff)
		}
	}
}

// checkSpool checks that nothing is left in the spool, and nothing was refused.
func checkSpool(t *testing.T, r *network.Reporter) {
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Waiting+status.Outbox+len(status.Refused)+len(status.Corrupt) > 0 {
		t.Errorf("the spool is not empty: %+v", status)
	}
}
