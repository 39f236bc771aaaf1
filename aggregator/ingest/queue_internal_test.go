package ingest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"repronet.dev/aggregator/fair"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing/signingtest"
)

// TestTurnsAtBeingChecked: who sends one statement does not wait behind hundreds of others',
// neither of another network, nor, where networks are not told apart, of other builders.
func TestTurnsAtBeingChecked(t *testing.T) {
	signer := signingtest.New(t)
	roster := enrolment.NewRoster()
	body, err := (&enrolment.Enrolment{Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := roster.Apply(0, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	mine := fmt.Sprintf(`{"hint":"%s"}`, signer.Public().Hint())
	theirs := fmt.Sprintf(`{"hint":"%s"}`, signingtest.New(t).Public().Hint())
	for name, networks := range map[string][2]string{"networks": {"192.0.2.1/32", "192.0.2.2/32"}, "builders": {"", ""}} {
		t.Run(name, func(t *testing.T) {
			// The one that is checked in its turn may be slow to say so: the fewest of several
			// tries are meant. Without turns it is the last of each.
			fewest := int32(300)
			for range 10 {
				fewest = min(fewest, checkedBefore(t, roster, networks, theirs, mine))
			}
			if fewest > 150 {
				t.Errorf("%d of 300 were checked before", fewest)
			}
		})
	}
}

// checkedBefore submits 300 bundles from one network and then one from another, and
// returns how many were checked before that one.
func checkedBefore(t *testing.T, roster *enrolment.Roster, networks [2]string, theirs, mine string) int32 {
	t.Helper()
	in := New(Config{}, nil, roster, nil)
	in.verifying = fair.NewPool(fair.Config{Capacity: 1})
	in.Ready()
	if err := in.verifying.Acquire(t.Context(), "held", 1, 1); err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	var checked atomic.Int32
	submit := func(network, bundle string, done func()) {
		working.Go(func() {
			if _, _, err := in.Batch(network).Submit(t.Context(), []byte(bundle)); err == nil {
				t.Error("nonsense was taken")
			}
			done()
		})
	}
	waiting := func(n int) {
		for deadline := time.Now().Add(time.Minute); in.verifying.Waiting() < n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("they do not wait")
			}
		}
	}
	for range 300 {
		submit(networks[0], theirs, func() { checked.Add(1) })
	}
	waiting(300)
	var before int32
	submit(networks[1], mine, func() { before = checked.Load() })
	waiting(301)
	in.verifying.Release("held", 1)
	working.Wait()
	return before
}
