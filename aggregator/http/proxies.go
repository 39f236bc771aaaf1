package http

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarding are the headers in which proxies say for whom a request is, and as what they
// are reached. Anybody can send them.
var forwarding = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Port",
	"X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Real-Ip", "X-Original-Url", "X-Original-Host", "X-Rewrite-Url",
}

// proxies are the addresses of proxies whose headers are believed.
type proxies []netip.Prefix

func (p proxies) has(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(known netip.Prefix) bool { return known.Contains(ip) })
}

// request returns a request as it is to be believed: one of a proxy's with the address that
// the proxy says it is from, any other without what it says of that.
func (p proxies) request(r *http.Request) *http.Request {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && p.has(remote.Addr()) {
		if client, ok := p.client(r.Header.Values("X-Forwarded-For")); ok {
			r = r.WithContext(r.Context()) // a copy
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		return r
	}
	says := func(name string) bool { return len(r.Header.Values(name)) > 0 }
	if !slices.ContainsFunc(forwarding, says) {
		return r
	}
	r = r.Clone(r.Context())
	for _, name := range forwarding {
		r.Header.Del(name)
	}
	return r
}

// client returns the last address that is no proxy's: all before it is what the client says.
func (p proxies) client(values []string) (client netip.Addr, ok bool) {
	hops := strings.Split(strings.Join(values, ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return client, false
		}
		if !p.has(ip) {
			return ip.Unmap().WithZone(""), true
		}
	}
	return client, false
}
