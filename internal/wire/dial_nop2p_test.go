//go:build nolibp2p

package wire

import (
	"strings"
	"testing"
	"time"
)

func TestClientWithoutP2P(t *testing.T) {
	_, _, err := Client("/ip4/192.0.2.7/tcp/4001/p2p/"+testPeer, time.Second)
	if err == nil || !strings.Contains(err.Error(), "built without libp2p") {
		t.Errorf("error %v, want one that says this binary has no libp2p", err)
	}
}
