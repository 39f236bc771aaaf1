package fair_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/fair"
)

func TestTry(t *testing.T) {
	type try struct {
		who     string
		held, n int64
		want    bool
	}
	for name, test := range map[string]struct {
		config fair.Config
		tries  []try
	}{
		"all of it":                  {fair.Config{Capacity: 10}, []try{{"a", 0, 10, true}, {"b", 0, 1, false}}},
		"a share":                    {fair.Config{Capacity: 10, Share: 4}, []try{{"a", 0, 4, true}, {"a", 0, 1, false}, {"b", 0, 4, true}, {"c", 0, 3, false}, {"c", 0, 2, true}}},
		"many have no bound":         {fair.Config{Capacity: 10, Share: 4}, []try{{"", 0, 9, true}, {"a", 0, 1, true}}},
		"spared for who asks little": {fair.Config{Capacity: 10, Spare: 4, Small: 2}, []try{{"a", 0, 7, false}, {"a", 0, 6, true}, {"a", 6, 1, false}, {"b", 2, 1, false}, {"b", 1, 1, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := fair.NewPool(test.config)
			for i, try := range test.tries {
				if got := p.Try(try.who, try.held, try.n); got != try.want {
					t.Errorf("call %d, %+v: %t", i, try, got)
				}
			}
		})
	}
}

// TestTurns: a party that sends much waits behind one that sends little, however many of its
// calls came first.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fair.NewPool(fair.Config{Capacity: 1})
		if err := p.Acquire(t.Context(), "held", 1, 1); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var served []string
		var working sync.WaitGroup
		work := func(name, who string, cost float64) {
			working.Go(func() {
				if err := p.Acquire(t.Context(), who, 1, cost); err != nil {
					t.Error(err)
				}
				mu.Lock()
				served = append(served, name)
				mu.Unlock()
				p.Release(who, 1)
			})
			synctest.Wait()
		}
		for i := range 4 {
			work(fmt.Sprintf("flood %d", i), "flood", 1)
		}
		work("large 0", "large", 10)
		work("large 1", "large", 10)
		for i := range 3 {
			work(fmt.Sprintf("honest %d", i), "honest", 1)
		}
		p.Release("held", 1)
		working.Wait()
		want := []string{"flood 0", "large 0", "honest 0", "flood 1", "honest 1", "flood 2", "honest 2", "flood 3", "large 1"}
		if diff := cmp.Diff(want, served); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestLeavingCostsNothing: a party whose call leaves the queue is where it was before.
func TestLeavingCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fair.NewPool(fair.Config{Capacity: 2})
		for _, who := range []string{"left", "other"} { // both are known while they hold something
			if err := p.Acquire(t.Context(), who, 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			leave()
		}()
		if err := p.Acquire(ctx, "left", 1, 100); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		served := make(chan string, 2)
		for _, who := range []string{"left", "other"} {
			go func() {
				if err := p.Acquire(t.Context(), who, 1, 1); err != nil {
					t.Error(err)
				}
				served <- who
			}()
			synctest.Wait()
		}
		p.Release("other", 1)
		if who := <-served; who != "left" {
			t.Errorf("%q is served first, want the one that came first", who)
		}
		p.Release("left", 1)
		<-served
	})
}

// TestLittleBeforeMuch: who asks for little does not wait behind one that asks for much.
func TestLittleBeforeMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fair.NewPool(fair.Config{Capacity: 100, Spare: 20, Small: 5})
		if err := p.Acquire(t.Context(), "a", 80, 80); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := make(chan error, 1)
		go func() { late <- p.Acquire(ctx, "b", 50, 50) }()
		synctest.Wait()
		if err := p.Acquire(t.Context(), "c", 5, 5); err != nil {
			t.Fatal(err)
		}
		if err := <-late; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("what is not there was given: %v", err)
		}
		p.Release("a", 80)
		p.Release("c", 5)
		if used := p.Used(); used != 0 {
			t.Errorf("%d are lost", used)
		}
		if err := p.Acquire(t.Context(), "d", 81, 1); !errors.Is(err, fair.ErrNever) {
			t.Errorf("more than there can be: %v", err)
		}
	})
}

// TestNothingIsLost: whatever ends first, the context or the wait, all is given back.
func TestNothingIsLost(t *testing.T) {
	p := fair.NewPool(fair.Config{Capacity: 3, Share: 2})
	var working sync.WaitGroup
	for i := range 200 {
		working.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%5)*time.Millisecond)
			defer cancel()
			who := fmt.Sprint(i % 7)
			if p.Acquire(ctx, who, 1+int64(i%2), 1) == nil {
				p.Release(who, 1+int64(i%2))
			}
		})
	}
	working.Wait()
	if used := p.Used(); used != 0 {
		t.Errorf("%d are lost", used)
	}
	for _, who := range []string{"a", "b"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Acquire(ctx, who, 1, 1); err != nil {
			t.Error(err)
		}
	}
}

func TestNetworks(t *testing.T) {
	none := []netip.Prefix{}
	for _, test := range []struct {
		many   []netip.Prefix
		remote string
		want   string
	}{
		{nil, "192.0.2.7:1234", "192.0.2.7/32"},
		{nil, "[::ffff:192.0.2.7]:1234", "192.0.2.7/32"},
		{nil, "[2001:db8:1:2ff::1]:1", "2001:db8:1:200::/56"},
		{nil, "[2001:db8:1:200::2%eth0]:1", "2001:db8:1:200::/56"},
		{nil, "127.0.0.2:1", ""},
		{nil, "10.1.2.3:1", ""},
		{nil, "[::1]:1", ""},
		{none, "127.0.0.2:1", "127.0.0.2/32"},
		{[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "192.0.2.7:1", ""},
		{nil, "@", ""},
	} {
		if got := (fair.Networks{Many: test.many}).Of(test.remote); got != test.want {
			t.Errorf("%s behind %v: %q, want %q", test.remote, test.many, got, test.want)
		}
	}
	if slices.Contains(fair.Many(), netip.MustParsePrefix("0.0.0.0/0")) {
		t.Error("everything is a proxy")
	}
}
