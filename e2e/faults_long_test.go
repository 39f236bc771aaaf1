//go:build long

package e2e

import (
	"math/rand/v2"
	"testing"
	"time"
)

// faultsAreLong says that everything is looked for after each fault.
const faultsAreLong = true

// faultKills is how often TestFaultKills kills.
const faultKills = 1000

// TestFaultKills kills a server under load a thousand times, while it starts too.
func TestFaultKills(t *testing.T) {
	f := newFaulty(t, "2g") // the engine removes old parts only after minutes of work
	for i := range faultKills {
		time.Sleep(rand.N(200 * time.Millisecond))
		if err := f.Kill(); err != nil {
			t.Fatal(err)
		}
		if i%3 == 2 {
			if err := killStarting(t.Context(), f.server); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 {
			f.taken()
			f.continues()
			t.Logf("%d kills", i+1)
		}
		if i%100 == 99 { // an index that never lives to remove its old parts takes long to open
			f.whole()
			f.damaged(func() { f.remove("index") })
		}
	}
	f.whole()
}
