package replay

import (
	"net/http"
	"testing"

	"repronet.dev/api"
	"repronet.dev/internal/peertest"
)

// TestHostilePublisher: an aggregator can neither keep a replay waiting nor fill its
// memory or disk with what it publishes.
func TestHostilePublisher(t *testing.T) {
	const most = 32 << 20
	header := http.Header{api.IndexedHeader: {"7"}}
	for name, ask := range map[string]func(t *testing.T, f *fetcher) error{
		"export": func(t *testing.T, f *fetcher) error {
			file, _, err := f.export(t.Context(), api.ExportChangesPath, nil)
			if err == nil {
				file.Close()
			}
			return err
		},
		"summary": func(t *testing.T, f *fetcher) error {
			_, err := f.api.Summary(t.Context(), "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			peertest.Peer{Header: header, Body: " ", Most: 64 << 20}.Survive(t, func(base string) error {
				return ask(t, &fetcher{&api.Client{HTTP: &http.Client{Transport: &impatience{http.DefaultTransport, peertest.Patience}}, Base: base}, t.TempDir(), most})
			})
		})
	}
}
