package aggregator

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: what comes after silence is indexed at once, a stream of single entries seldom.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took = 150 * time.Millisecond
		var p pace
		batches := func(within time.Duration) (n int) {
			for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if !p.rests(1) {
					n++
					time.Sleep(took)
					p.worked(took)
				}
			}
			return n
		}
		if n := batches(5 * time.Second); n != 32 {
			t.Errorf("%d batches in 5 s after silence: a minute of credit is 30 rests of 2 s", n)
		}
		if n := batches(time.Minute); n < 27 || n > 31 {
			t.Errorf("%d batches in a minute of a stream, want one in 2 s", n)
		}
		if p.worked(took); !p.rests(indexFull - 1) {
			t.Error("a few entries are not waited with")
		}
		if p.rests(indexFull) {
			t.Error("many entries wait")
		}
		time.Sleep(indexCredit / 2)
		if n := batches(3 * time.Second); n < 15 || n > 18 {
			t.Errorf("%d batches after half a minute of silence, want half of the credit", n)
		}
	})
}
