package relay

import (
	"net/http"
	"testing"

	"repronet.dev/api"
	"repronet.dev/internal/peertest"
	"repronet.dev/ledger"
)

// TestHostileAggregator: an aggregator can neither keep a relay waiting nor fill its
// memory.
func TestHostileAggregator(t *testing.T) {
	documents := []*Document{{Name: "x", Kind: ledger.Narinfo, Body: []byte("x")}}
	for name, header := range map[string]http.Header{
		"answers": {"Content-Type": {api.LinesType}}, "refusals": {"Content-Type": {"application/problem+json"}},
	} {
		t.Run(name, func(t *testing.T) {
			peertest.Peer{Header: header, Most: 256 << 10}.Survive(t, func(base string) error {
				answers, _, err := (&Client{API: &api.Client{HTTP: peertest.Client(), Base: base}}).request(t.Context(), documents)
				if err == nil {
					err = answers[0].Err // the beginning of a line was taken for one
				}
				return err
			})
		})
	}
}
