package submit_test

import (
	"net/http"
	"testing"

	"repronet/internal/peertest"
	"repronet/internal/wire"
	"repronet/reporter/submit"
	"repronet/signing/signingtest"
)

// TestHostileAggregator: an aggregator can neither keep a reporter waiting nor fill its
// memory.
func TestHostileAggregator(t *testing.T) {
	bundles := []submit.Bundle{bundle(t, signingtest.New(t), 1)}
	for name, header := range map[string]http.Header{
		"answers": {"Content-Type": {wire.LinesType}}, "refusals": {"Content-Type": {"application/problem+json"}},
	} {
		t.Run(name, func(t *testing.T) {
			peertest.Peer{Header: header, Most: 1 << 20}.Survive(t, func(base string) error {
				answers, err := (&submit.Client{HTTP: peertest.Client(), Base: base}).Submit(t.Context(), bundles)
				if err == nil {
					err = answers[0].Err // the beginning of a line was taken for one
				}
				return err
			})
		})
	}
}
