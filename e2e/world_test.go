package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/ledger/ledgertest"
)

// messages is where a program's messages go; if the test fails, their end is in
// its log.
func messages(t *testing.T, name string) io.Writer {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "messages"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if !t.Failed() {
			return
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Error(err)
		}
		const most = 8000
		t.Logf("the end of the messages of %s:\n%s", name, text[max(0, len(text)-most):])
	})
	return f
}

// A server is an aggregator on a data directory that outlives it.
type server struct {
	*network.Aggregator
	args []string
	log  io.Writer
}

// startAggregator starts a server with frequent checkpoints on a port of its own.
// It is stopped, and has to end well, when the test ends.
func startAggregator(t *testing.T, args ...string) *server {
	t.Helper()
	chdbtest.Library(t)
	s := &server{log: messages(t, "the aggregator"), args: append([]string{"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms"}, args...)}
	data := filepath.Join(t.TempDir(), "data")
	if err := s.start(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	ledgertest.Keep(t, filepath.Join(data, "ledger"), filepath.Join(data, "log.key"))
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("the aggregator ended with: %v", err)
		}
	})
	return s
}

func (s *server) start(ctx context.Context, data string) (err error) {
	// The server is stopped in order, so it does not end with the context.
	s.Aggregator, err = network.StartAggregator(context.WithoutCancel(ctx), programs(), data, s.log, s.args...)
	return err
}

// restart starts a server that has ended again, at the same address.
func (s *server) restart(ctx context.Context) error {
	s.args[1] = strings.TrimPrefix(s.URL, "http://")
	return s.start(ctx, s.Data)
}

// address is the address of the server that has a part in it.
func (s *server) address(t *testing.T, part string) string {
	t.Helper()
	for _, address := range append([]string{s.URL}, s.Addresses...) {
		if strings.Contains(address, part) {
			return address
		}
	}
	t.Fatalf("no address with %s among %q", part, s.Addresses)
	return ""
}

// fetch returns the body of an answer with the status 200.
func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
	}
	return body, err
}

// get reads the JSON at a path of an aggregator's API.
func get[T any](t *testing.T, base, path string) T {
	t.Helper()
	var value T
	body, err := fetch(t.Context(), base+"/api/v1"+path)
	if err == nil {
		err = json.Unmarshal(body, &value)
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func getOutput(t *testing.T, base, key string) *dashboard.Output {
	t.Helper()
	return get[*dashboard.Output](t, base, "/outputs?name="+url.QueryEscape(key))
}

// indexed waits until the index covers the whole ledger, and returns the summary.
func indexed(t *testing.T, base string) *dashboard.Summary {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		summary := get[*dashboard.Summary](t, base, "/summary")
		if summary.Indexed == summary.LedgerSize {
			return summary
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the index does not catch up: %d of %d entries", summary.Indexed, summary.LedgerSize)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logKey returns the key of an aggregator's ledger.
func logKey(t *testing.T, base string) note.Verifier {
	t.Helper()
	text, err := fetch(t.Context(), base+api.LogKeyPath)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// readLedger returns every entry that the published checkpoint covers, each
// checked against it, and the checkpoint. It waits until the log has published
// size entries.
func readLedger(t *testing.T, base string, size uint64) ([]*ledger.Entry, *ledger.Checkpoint) {
	t.Helper()
	reader := ledger.NewReader(ledger.HTTP(http.DefaultClient, base+api.LogPath), logKey(t, base))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		checkpoint, err := reader.Checkpoint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if checkpoint.Size < size {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		var entries []*ledger.Entry
		for record, err := range reader.Tree(checkpoint).Records(ctx, 0, checkpoint.Size) {
			if err != nil {
				t.Fatal(err)
			}
			entry, err := record.Entry()
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, entry)
		}
		return entries, checkpoint
	}
}
