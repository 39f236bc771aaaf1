package replay

import (
	"net/http"
	"testing"

	"repronet/internal/peertest"
	"repronet/internal/wire"
)

// TestHostilePublisher: an aggregator can neither keep a replay waiting nor fill its
// memory or disk with what it publishes.
func TestHostilePublisher(t *testing.T) {
	const most = 32 << 20
	header := http.Header{wire.IndexedHeader: {"7"}}
	for name, ask := range map[string]func(t *testing.T, f *fetcher) error{
		"export": func(t *testing.T, f *fetcher) error {
			file, _, err := f.export(t.Context(), wire.ExportChangesPath)
			if err == nil {
				file.Close()
			}
			return err
		},
		"summary": func(t *testing.T, f *fetcher) error {
			var s summary
			return f.json(t.Context(), "/api/v1/summary", &s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			peertest.Peer{Header: header, Body: " ", Most: maxAnswer}.Survive(t, func(base string) error {
				return ask(t, &fetcher{&http.Client{}, base, t.TempDir(), peertest.Patience, most})
			})
		})
	}
}
