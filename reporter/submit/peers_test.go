package submit_test

import (
	"net/http"
	"testing"

	"repronet.dev/api"
	"repronet.dev/internal/peertest"
	"repronet.dev/reporter/submit"
	"repronet.dev/signing/signingtest"
)

// TestHostileAggregator: an aggregator can neither keep a reporter waiting nor fill its
// memory.
func TestHostileAggregator(t *testing.T) {
	bundles := []submit.Bundle{bundle(t, signingtest.New(t), 1)}
	for name, header := range map[string]http.Header{
		"answers": {"Content-Type": {api.LinesType}}, "refusals": {"Content-Type": {"application/problem+json"}},
	} {
		t.Run(name, func(t *testing.T) {
			peertest.Peer{Header: header, Most: 1 << 20}.Survive(t, func(base string) error {
				answers, err := (&submit.Client{API: &api.Client{HTTP: peertest.Client(), Base: base}}).Submit(t.Context(), bundles)
				if err == nil {
					err = answers[0].Err // the beginning of a line was taken for one
				}
				return err
			})
		})
	}
}
