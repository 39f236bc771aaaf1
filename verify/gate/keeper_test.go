package gate

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"repronet.dev/ledger"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

func TestStale(t *testing.T) {
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.MaxStale = 700 * time.Millisecond })
	w.offer(nar, "none", nar)
	w.want(stale, "being fetched")
	w.agreed(nar, "none", nar)
	w.want("", "")
	w.show(http.NotFoundHandler())
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Fatal("refreshed from nothing")
	}
	w.want("", "") // not yet
	time.Sleep(700 * time.Millisecond)
	w.want(stale, "longer ago than 700ms")
	if response, _, _ := w.get(narURL(nar)); response.Header.Get("Repronet-Refused") != "stale" {
		t.Errorf("NAR: %s", response.Status)
	}
	w.show(w.ledger.Handler())
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
}

// TestRolledBack: an older state than was seen is no fresh one.
func TestRolledBack(t *testing.T) {
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.MaxStale = time.Nanosecond })
	old := w.ledger.Publish()
	w.agreed(nar, "none", nar)
	w.show(verifytest.Replacing(w.ledger.Handler(), "checkpoint", old.Text))
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Error("took an older state for a fresh one")
	}
	w.want(stale, "older than what was seen before")
}

func TestForkedLog(t *testing.T) {
	nar := content(100)
	w := newWorld(t)
	w.agreed(nar, "none", nar)
	twin := w.ledger.Twin()
	twin.Fill(50, "another history")
	twin.Publish()
	w.show(twin.Handler())
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Fatal("did not notice the fork")
	}
	w.want(invalid, "signed two histories")
	w.show(w.ledger.Handler())
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want(invalid, "signed two histories") // a fork is not forgotten
}

// TestInvalidLog: a log that shows other entries than it signed is not believed
// until it shows the right ones.
func TestInvalidLog(t *testing.T) {
	nar := content(100)
	w := newWorld(t)
	w.agreed(nar, "none", nar)
	w.attest("carol", sha256.Sum256(nar))
	w.ledger.Publish()
	w.show(verifytest.Replacing(w.ledger.Handler(), "tile/entries/", []byte("garbage")))
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Fatal("took garbage")
	}
	w.want(invalid, "invalid log")
	w.show(w.ledger.Handler())
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
}

func TestFailOpen(t *testing.T) {
	nar := content(100)
	open := func(c *Config) { c.FailOpen, c.MaxStale = true, time.Nanosecond }
	w := newWorld(t, open)
	w.offer(nar, "none", nar)
	w.want("", "") // nothing is known at all
	w.attest("alice", sha256.Sum256(nar))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
	w.attest("bob", verifytest.Digest(9))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want(verify.Diverged, "for want of fresh evidence")

	fresh := newWorld(t, func(c *Config) { c.FailOpen = true })
	fresh.offer(nar, "none", nar)
	if err := fresh.refresh(); err != nil {
		t.Fatal(err)
	}
	fresh.want(verify.Insufficient, "no trusted operator")
}

// TestFrozenTime: an aggregator that goes on showing an old state is no source of
// fresh evidence, though it answers.
func TestFrozenTime(t *testing.T) {
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.MaxAge, c.MaxStale = 3*time.Second, 3*time.Second })
	w.agreed(nar, "none", nar)
	w.want("", "")
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(100 * time.Millisecond) {
		_ = w.gate.keeper.refresh(t.Context()) // judged below
		if response, _, _ := w.get(pathHash + ".narinfo"); response.StatusCode != http.StatusOK {
			break
		}
	}
	w.want(stale, "news may be held back")
	w.attest("carol", sha256.Sum256(nar))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
}

// TestDatedAhead: a ledger that is dated ahead of this machine's clock is not fresh.
func TestDatedAhead(t *testing.T) {
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.MaxAge, c.MaxStale = time.Hour, time.Second })
	w.agreed(nar, "none", nar)
	w.want("", "")
	w.ledger.SetAhead(24 * time.Hour)
	w.attest("carol", sha256.Sum256(nar))
	if err := w.refresh(); !errors.Is(err, verify.ErrAhead) {
		t.Errorf("refreshed: %v, want ErrAhead", err)
	}
	for start := time.Now(); time.Since(start) < 1500*time.Millisecond; time.Sleep(100 * time.Millisecond) {
		_ = w.gate.keeper.refresh(t.Context()) // judged below
	}
	w.want(stale, "dated ahead of this machine's clock")
}

// TestUncosigned: a state that too few witnesses cosigned is none that was seen.
func TestUncosigned(t *testing.T) {
	witness, err := ledger.NewWitnessSigner("w.example.org")
	if err != nil {
		t.Fatal(err)
	}
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.Pins.Witnesses, c.Pins.WitnessQuorum = []string{witness.String()}, 1 })
	w.offer(nar, "none", nar)
	w.attest("alice", sha256.Sum256(nar))
	w.attest("bob", sha256.Sum256(nar))
	if err := w.refresh(); !errors.Is(err, ledger.ErrNotCosigned) {
		t.Fatalf("refreshed: %v", err)
	}
	w.want(stale, "not cosigned by enough witnesses")
	c := w.ledger.Publish()
	w.show(verifytest.Replacing(w.ledger.Handler(), "checkpoint", slices.Concat(c.Text, witness.Cosign(c, time.Now()))))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
}
