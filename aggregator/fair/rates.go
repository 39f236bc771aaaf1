package fair

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Rate is how much may be had at once, and how much of that comes back in a second.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Every is the rate of one in a time, with a burst.
func Every(interval time.Duration, burst int) Rate {
	return Rate{PerSecond: float64(time.Second) / float64(interval), Burst: burst}
}

func (r Rate) limiter() *rate.Limiter { return rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst) }

// Window is the time in which all of a burst comes back.
func (r Rate) Window() time.Duration {
	return time.Duration(float64(r.Burst) / r.PerSecond * float64(time.Second))
}

// maxAddresses bounds what [Rates] remember. Beyond it all are forgotten: a limit of all
// together still holds.
const maxAddresses = 10_000

// Rates bound how much addresses have in a time: each, and all together.
type Rates struct {
	each Rate
	all  *rate.Limiter // nil: no bound of all together

	mu        sync.Mutex
	addresses map[netip.Prefix]*rate.Limiter // guarded by mu
}

// NewRates bounds each address, and all together where all is not nil.
func NewRates(each Rate, all *Rate) *Rates {
	r := &Rates{each: each, addresses: map[netip.Prefix]*rate.Limiter{}}
	if all != nil {
		r.all = all.limiter()
	}
	return r
}

// Left is what an address may have after it asked for something.
type Left struct {
	Rate Rate
	Now  int           // at once
	Wait time.Duration // until it may have what it asked for; 0 if it has it
}

// Take counts n from the other end of a connection, see [AddressOf], and reports whether
// its address and all together may have as much now.
func (r *Rates) Take(remote string, n int) (left Left, ok bool) {
	of, now := r.address(remote), time.Now()
	left.Rate = r.each
	taken := of.ReserveN(now, n)
	switch wait := taken.DelayFrom(now); {
	case !taken.OK(): // more than a burst
		left.Wait = r.each.Window()
	case wait > 0:
		taken.CancelAt(now)
		left.Wait = wait
	case r.all != nil && !r.all.AllowN(now, n):
		left.Wait = time.Duration(float64(n) / float64(r.all.Limit()) * float64(time.Second))
	}
	left.Now = max(0, int(of.TokensAt(now)))
	return left, left.Wait == 0
}

func (r *Rates) address(remote string) *rate.Limiter {
	network := AddressOf(remote)
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter, known := r.addresses[network]
	if !known {
		if len(r.addresses) >= maxAddresses {
			clear(r.addresses)
		}
		limiter = r.each.limiter()
		r.addresses[network] = limiter
	}
	return limiter
}
