package fair

import (
	"net/netip"
	"slices"
)

// Networks tells the networks apart from which requests come.
type Networks struct {
	// Many are the addresses behind which many parties are, such as those of proxies.
	// Nil stands for [Many].
	Many []netip.Prefix
}

// Many returns the addresses behind which there can be many parties where nothing else is
// known: those of the machine itself and of private networks, from which a proxy sends.
func Many() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
	}
}

// Behind tells networks apart behind proxies, each of which stands for many: what comes
// through a proxy that does not say from where is of one network.
func Behind(proxies []netip.Prefix) Networks { return Networks{Many: append(Many(), proxies...)} }

// The part of an address that one customer of a provider has to itself.
const (
	bits4 = 32
	bits6 = 56
)

// AddressOf returns what one customer of a provider has of the IP address in a remote
// address with a port, as an [http.Request] has it: the IPv4 address, or the IPv6 /56. It
// is invalid if there is none. What headers say about where a request comes from is not
// believed here.
func AddressOf(remote string) netip.Prefix {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := address.Addr().Unmap().WithZone("")
	bits := bits6
	if ip.Is4() {
		bits = bits4
	}
	prefix, _ := ip.Prefix(bits) // no address is shorter
	return prefix
}

// Of returns the network of a remote address, see [AddressOf]. It is empty if many are
// behind the address, or if it is none.
func (n Networks) Of(remote string) string {
	network := AddressOf(remote)
	many := n.Many
	if many == nil {
		many = Many()
	}
	if !network.IsValid() || slices.ContainsFunc(many, func(p netip.Prefix) bool { return p.Contains(network.Addr()) || network.Contains(p.Addr()) }) {
		return ""
	}
	return network.String()
}
