package filter

import (
	"net/http"
	"testing"

	"repronet/internal/peertest"
)

// TestHostileAggregator: an aggregator can neither keep a reporter waiting nor fill its
// memory with a package set.
func TestHostileAggregator(t *testing.T) {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	peertest.Peer{Header: header, Most: maxSize}.Survive(t, func(base string) error {
		return (&Sets{Dir: t.TempDir(), HTTP: peertest.Client(), Base: base}).refresh(t.Context(), "set")
	})
}
