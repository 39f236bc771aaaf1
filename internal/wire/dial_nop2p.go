//go:build nolibp2p

package wire

import (
	"fmt"
	"net/http"
)

func dialP2P(address string) (http.RoundTripper, string, error) {
	if _, _, err := SplitMultiaddr(address); err != nil {
		return nil, "", err
	}
	return nil, "", fmt.Errorf("address %q is a libp2p address, and this binary was built without libp2p: give the server's https:// address, or use a binary built without the tag nolibp2p", address)
}
