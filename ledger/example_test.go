package ledger_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// A log that a web server shows is read entry by entry, each checked against the
// checkpoint that the log's key signed.
func ExampleReader() {
	ctx := context.Background()
	base, key, stop, err := serveLog(ctx, "hello", "world")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	reader := ledger.NewReader(ledger.HTTP(http.DefaultClient, base), key.Verifier())
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for record, err := range reader.Tree(checkpoint).Records(ctx, 0, checkpoint.Size) {
		if err != nil {
			fmt.Println(err)
			return
		}
		entry, err := record.Entry()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record.Index, entry.Kind, string(entry.Body))
	}
	// Output:
	// 0 note hello
	// 1 note world
}

// serveLog writes a log and serves its directory, as any web server can.
func serveLog(ctx context.Context, bodies ...string) (base string, key *writer.Key, stop func(), err error) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return "", nil, nil, err
	}
	if key, err = writer.LoadOrCreateKey(filepath.Join(dir, "log.key"), "example.org/log"); err != nil {
		return "", nil, nil, err
	}
	log, err := writer.Open(ctx, writer.Config{Dir: filepath.Join(dir, "log"), Key: key, CheckpointInterval: 200 * time.Millisecond})
	if err != nil {
		return "", nil, nil, err
	}
	for _, body := range bodies {
		if _, err = log.Append(ctx, "note", []byte(body)); err != nil {
			return "", nil, nil, err
		}
	}
	if err = log.Close(ctx); err != nil { // after a last checkpoint
		return "", nil, nil, err
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "log"))))
	return server.URL, key, func() { server.Close(); _ = os.RemoveAll(dir) }, nil
}
