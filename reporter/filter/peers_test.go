package filter

import (
	"net/http"
	"testing"

	"repronet.dev/api"
	"repronet.dev/internal/peertest"
)

// TestHostileAggregator: an aggregator can neither keep a reporter waiting nor fill its
// memory with a package set.
func TestHostileAggregator(t *testing.T) {
	header := http.Header{"Content-Type": {"application/octet-stream"}, "Etag": {`"7"`}}
	peertest.Peer{Header: header, Most: 1e6 * api.FilterPrefixSize}.Survive(t, func(base string) error {
		return (&Sets{Dir: t.TempDir(), API: &api.Client{HTTP: peertest.Client(), Base: base}, LogKey: newServer(t).key}).refresh(t.Context(), "set")
	})
}
