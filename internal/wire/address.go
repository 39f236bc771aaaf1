// Package wire carries the protocol between reporters and aggregators.
//
// # Addresses
//
// An aggregator is reached at one of two forms of address, and everything that
// takes an aggregator's address takes both:
//
//	https://repro.example.org/          HTTP(S), with an optional path prefix
//	/dns4/repro.example.org/tcp/4001/p2p/12D3KooW…          libp2p over TCP
//	/ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooW…           libp2p over QUIC
//
// The second is a libp2p multiaddr. It ends in the aggregator's peer ID, which
// is the hash of its key: a peer that answers there without that key is refused, so
// such an address needs no certificate authority and no domain. In place of
// ip4, the host may be given by ip6, dns, dns4 or dns6.
//
// The same requests go over both; [Client] gives an [http.Client] for either.
// A binary built with the tag nolibp2p has no libp2p in it and refuses the
// second form with an error that says so.
package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// IsMultiaddr reports whether s is meant as a multiaddr, as all and only those
// addresses start with a slash. It says nothing of whether s is a good one.
func IsMultiaddr(s string) bool {
	return strings.HasPrefix(s, "/")
}

// SplitMultiaddr splits a server's multiaddr into where it is
// (/dns4/host/tcp/4001) and who answers there (the peer ID, not decoded).
// It accepts the forms that the package documentation shows, no others.
func SplitMultiaddr(s string) (location, peerID string, err error) {
	parts := strings.Split(s, "/")
	if len(parts) < 5 || parts[0] != "" {
		return "", "", multiaddrError(s, errors.New("it is incomplete"))
	}
	if err := checkHost(parts[1], parts[2]); err != nil {
		return "", "", multiaddrError(s, err)
	}
	if _, err := strconv.ParseUint(parts[4], 10, 16); err != nil {
		return "", "", multiaddrError(s, fmt.Errorf("%q is no port number", parts[4]))
	}
	n := 5
	switch parts[3] {
	case "tcp":
	case "udp":
		if len(parts) < 6 || parts[5] != "quic-v1" {
			return "", "", multiaddrError(s, errors.New("after the udp port comes /quic-v1"))
		}
		n = 6
	default:
		return "", "", multiaddrError(s, fmt.Errorf("%q is neither tcp nor udp", parts[3]))
	}
	if len(parts) != n+2 || parts[n] != "p2p" || parts[n+1] == "" {
		return "", "", multiaddrError(s, errors.New("it does not end in /p2p/ and the server's peer ID"))
	}
	return strings.Join(parts[:n], "/"), parts[n+1], nil
}

func checkHost(kind, host string) error {
	switch kind {
	case "ip4", "ip6":
		ip, err := netip.ParseAddr(host)
		if err != nil || ip.Is4() != (kind == "ip4") {
			return fmt.Errorf("%q is no %s address", host, kind)
		}
	case "dns", "dns4", "dns6":
		if host == "" {
			return errors.New("the host name is empty")
		}
	default:
		return fmt.Errorf("%q is none of ip4, ip6, dns, dns4, dns6", kind)
	}
	return nil
}

func multiaddrError(s string, reason error) error {
	return fmt.Errorf("address %q: %w; an address looks like /dns4/HOST/tcp/PORT/p2p/ID or /ip4/IP/udp/PORT/quic-v1/p2p/ID", s, reason)
}
