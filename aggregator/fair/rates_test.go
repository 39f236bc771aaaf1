package fair_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"repronet.dev/aggregator/fair"
)

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := fair.Every(time.Second, 12)
		rates := fair.NewRates(fair.Rate{PerSecond: 1, Burst: 10}, &all)
		take := func(remote string, n, left int, wait time.Duration) {
			t.Helper()
			got, ok := rates.Take(remote, n)
			if ok != (wait == 0) || got.Now != left || got.Wait.Round(time.Millisecond) != wait || got.Rate.Window() != 10*time.Second {
				t.Errorf("%d from %s: %t, %+v; want %d left, and %v to wait", n, remote, ok, got, left, wait)
			}
		}
		take("192.0.2.1:1", 7, 3, 0)
		take("192.0.2.1:2", 4, 3, time.Second)     // another port of the same address
		take("192.0.2.1:2", 11, 3, 10*time.Second) // more than there ever is
		take("192.0.2.1:2", 3, 0, 0)
		take("[2001:db8::1]:1", 2, 8, 0)
		take("[2001:db8:0:1::1]:1", 2, 6, 2*time.Second) // the same /56, and all together have had 12
		time.Sleep(5 * time.Second)
		take("192.0.2.1:1", 5, 0, 0)
		take("192.0.2.1:1", 1, 0, time.Second)
	})
}

// TestRatesForget: what is remembered of addresses is bounded.
func TestRatesForget(t *testing.T) {
	all := fair.Rate{PerSecond: 1, Burst: 20_000}
	rates := fair.NewRates(fair.Every(time.Hour, 1), &all)
	for i := range 20_000 {
		if _, ok := rates.Take(fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255), 1); !ok {
			t.Fatalf("address %d has had nothing", i)
		}
	}
	if _, ok := rates.Take("192.0.2.1:1", 1); ok {
		t.Error("all together have had what there is")
	}
}
