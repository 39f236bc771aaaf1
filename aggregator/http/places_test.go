package http

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/fair"
)

var greedy, modest = netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")

// TestPlaces: an address has its share of the places at most, and what it asks
// for beside keeps nobody else from getting one.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(4, 2, 5, 3)
		var mu sync.Mutex
		var got []string
		asked := 0
		take := func(name string, from netip.Prefix) {
			asked++
			lasts := time.Duration(asked) * time.Second // so that no two leave at once
			go func() {
				err := p.take(t.Context(), from, time.Minute)
				mu.Lock()
				got = append(got, fmt.Sprint(name, " ", err))
				mu.Unlock()
				if err == nil {
					time.Sleep(lasts)
					p.leave(from)
				}
			}()
			synctest.Wait()
		}
		for i := range 6 {
			take(fmt.Sprint("greedy ", i), greedy) // two have places, three wait, one is too many
		}
		take("modest 0", modest)
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{
			"greedy 0 <nil>", "greedy 1 <nil>", "greedy 5 " + fair.ErrShare.Error(), "modest 0 <nil>",
			"greedy 2 <nil>", "greedy 3 <nil>", "greedy 4 <nil>",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		checkEmpty(t, p)
	})
}

// TestPlacesInTurn: where all places are taken, the addresses get the next ones in turn.
func TestPlacesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1, 1, 10, 10)
		if err := p.try(greedy); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var got []string
		for i, from := range []netip.Prefix{greedy, greedy, greedy, modest} {
			go func() {
				if err := p.take(t.Context(), from, time.Minute); err != nil {
					t.Error(err)
				}
				mu.Lock()
				got = append(got, fmt.Sprint(from.Addr(), " ", i))
				mu.Unlock()
				p.leave(from)
			}()
			synctest.Wait()
		}
		p.leave(greedy)
		synctest.Wait()
		want := []string{"192.0.2.1 0", "192.0.2.2 3", "192.0.2.1 1", "192.0.2.1 2"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		checkEmpty(t, p)
	})
}

// TestPlacesAreNotWaitedForForEver: those who leave, or for whom it takes too long, are
// waited for by no one.
func TestPlacesAreNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(2, 1, 10, 10)
		for _, from := range []netip.Prefix{greedy, modest} {
			if err := p.try(from); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.take(t.Context(), greedy, time.Second); !errors.Is(err, fair.ErrShare) {
			t.Errorf("an address with its share: %v", err)
		}
		if err := p.take(t.Context(), netip.Prefix{}, time.Second); !errors.Is(err, fair.ErrFull) {
			t.Errorf("an address without a place: %v", err)
		}
		left, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if err := p.take(left, modest, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who has left: %v", err)
		}
		p.leave(greedy)
		p.leave(modest)
		checkEmpty(t, p)
	})
}

// checkEmpty holds when all places were left.
func checkEmpty(t *testing.T, p places) {
	t.Helper()
	if p.pool.Used() != 0 || p.pool.Waiting() != 0 {
		t.Errorf("%d places are taken, %d wait", p.pool.Used(), p.pool.Waiting())
	}
}
