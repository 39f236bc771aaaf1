//go:build !nolibp2p

package wire

import (
	"net/http"

	"repronet.dev/internal/wire/p2p"
)

func dialP2P(address string) (http.RoundTripper, string, error) {
	location, peerID, err := SplitMultiaddr(address)
	if err != nil {
		return nil, "", err
	}
	transport, err := p2p.NewTransport(location, peerID)
	if err != nil {
		return nil, "", err
	}
	return transport, transport.BaseURL(), nil
}
