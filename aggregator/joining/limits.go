package joining

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"

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
)

// newLimits bound the rate of requests for each address and for all together. What headers
// say about where a request comes from is not believed.
func newLimits() *fair.Rates {
	all := fair.Every(allEvery, allBurst)
	return fair.NewRates(fair.Every(perAddressEvery, perAddressBurst), &all)
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
