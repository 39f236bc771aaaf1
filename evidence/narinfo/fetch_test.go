package narinfo

import (
	"testing"

	"repronet/internal/peertest"
)

// TestHostileCache: a binary cache can neither keep us waiting nor fill our memory.
func TestHostileCache(t *testing.T) {
	peertest.Peer{Body: "StorePath: ", Most: MaxSize}.Survive(t, func(base string) error {
		_, err := Fetch(t.Context(), peertest.Client(), base+"/x.narinfo")
		return err
	})
}
