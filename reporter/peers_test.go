package reporter

import (
	"testing"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/internal/peertest"
)

// TestHostileAggregator: an aggregator can neither keep a reporter waiting nor fill its
// memory when it is asked for its key. Packages submit and filter test the rest.
func TestHostileAggregator(t *testing.T) {
	peertest.Peer{Most: 1 << 20}.Survive(t, func(base string) error {
		key, err := (&api.Client{HTTP: peertest.Client(), Base: base}).LogKey(t.Context())
		if err == nil {
			_, err = note.NewVerifier(key)
		}
		return err
	})
}
