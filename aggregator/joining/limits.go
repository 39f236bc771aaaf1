package joining

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"repronet.dev/aggregator/fair"
)

// How often requests are taken once a burst is used up: enough for every machine
// behind one address or one proxy, and too few to fill the queue before a person
// looks.
const (
	perAddressEvery = 10 * time.Second
	perAddressBurst = 20
	allEvery        = time.Second
	allBurst        = 100

	// maxAddresses bounds what is remembered. Beyond it all are forgotten: the
	// limit of all together still holds.
	maxAddresses = 10_000
)

// limits bound the rate of requests for each address and for all together.
type limits struct {
	each rate.Limit
	all  *rate.Limiter

	mu        sync.Mutex
	addresses map[netip.Prefix]*rate.Limiter // guarded by mu
}

func newLimits(each, all rate.Limit) *limits {
	return &limits{each: each, all: rate.NewLimiter(all, allBurst), addresses: map[netip.Prefix]*rate.Limiter{}}
}

// allow counts a request from the other end of a connection. What headers say
// about where a request comes from is not believed.
func (l *limits) allow(remote string) bool {
	return l.address(remote).Allow() && l.all.Allow()
}

func (l *limits) address(remote string) *rate.Limiter {
	network := fair.AddressOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, known := l.addresses[network]
	if !known {
		if len(l.addresses) >= maxAddresses {
			clear(l.addresses)
		}
		limiter = rate.NewLimiter(l.each, perAddressBurst)
		l.addresses[network] = limiter
	}
	return limiter
}

// network names the network of an IP address and port, of IPv4 the /24 and of IPv6 the
// /48, by a hash that only this server can make: addresses of people are not kept. The
// name is empty where many are behind the address.
func (j *Joining) network(remote string) string {
	if j.config.Networks.Of(remote) == "" {
		return ""
	}
	address := fair.AddressOf(remote).Addr()
	bits := 48
	if address.Is4() {
		bits = 24
	}
	prefix, _ := address.Prefix(bits) // no address is shorter
	mac := hmac.New(sha256.New, j.secret)
	mac.Write([]byte("network\x00" + prefix.String()))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
