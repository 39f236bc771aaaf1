package ledger

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/peertest"
)

// TestHostileLogServer: whoever serves a log can neither keep a reader waiting nor
// fill its memory.
func TestHostileLogServer(t *testing.T) {
	_, key := testKey(t)
	for name, test := range map[string]struct {
		most int64
		ask  func(t *testing.T, fetch Fetcher) error
	}{
		"checkpoint": {maxCheckpointSize, func(t *testing.T, fetch Fetcher) error {
			_, err := NewReader(fetch, key).Checkpoint(t.Context())
			return err
		}},
		"tile": {1 << 20, func(t *testing.T, fetch Fetcher) error {
			_, err := readTile(t.Context(), fetch, tlog.Tile{H: tileHeight, W: 256})
			return err
		}},
		"entries": {maxBundleSize, func(t *testing.T, fetch Fetcher) error {
			_, err := leaves(t.Context(), fetch, tlog.Tile{H: tileHeight, L: -1, W: 256})
			return err
		}},
		"attachment": {MaxAttachmentSize, func(t *testing.T, fetch Fetcher) error {
			_, err := FetchAttachment(t.Context(), fetch, AttachmentID{1})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peertest.Peer{Most: test.most}.Survive(t, func(base string) error {
				return test.ask(t, HTTP(peertest.Client(), base))
			})
		})
	}
}
