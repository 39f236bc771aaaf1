// Package ledgertest keeps the ledgers that tests make, so that programs of other
// versions can read them (e2e/sameread).
//
// Model. With REPRONET_KEEP_LEDGERS=DIR in the environment, each test's ledgers are
// copied to directories of DIR when the test ends, in the form of an aggregator's data
// directory: ledger/ and log.key. Without it nothing is kept.
//
// Trust. What is kept is what tests wrote, forged entries included.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/reading"
)

// keepEnv names the directory in which ledgers are kept.
const keepEnv = "REPRONET_KEEP_LEDGERS"

// origin is the name of the ledgers that [KeepEntries] writes.
const origin = "test.example/entries"

// Keep copies a log's directory and key when the test has ended. It is called before
// the cleanup that closes the log is registered, so that it runs after that.
func Keep(tb testing.TB, dir, key string) {
	tb.Helper()
	if _, ok := tb.(*testing.T); !ok || os.Getenv(keepEnv) == "" {
		return
	}
	tb.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "checkpoint")); errors.Is(err, fs.ErrNotExist) {
			return // nothing was ever published
		}
		if err := keep(place(tb), dir, key); err != nil {
			tb.Errorf("keeping the ledger: %v", err)
		}
	})
}

// KeepEntries writes a ledger that a test has in memory to a log, when the test has
// ended. The entries are received at the time of writing.
func KeepEntries(tb testing.TB, read func() (entries []*ledger.Entry, attachments [][]byte)) {
	tb.Helper()
	if _, ok := tb.(*testing.T); !ok || os.Getenv(keepEnv) == "" {
		return
	}
	tb.Cleanup(func() {
		entries, attachments := read()
		if len(entries) == 0 {
			return
		}
		if err := write(context.Background(), place(tb), entries, attachments); err != nil {
			tb.Errorf("keeping the ledger: %v", err)
		}
	})
}

// place returns a directory that is not there yet, named by the test.
func place(tb testing.TB) string {
	base := filepath.Join(os.Getenv(keepEnv), strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, tb.Name()))
	for n := 1; ; n++ {
		dir := fmt.Sprintf("%s.%d", base, n)
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o755); err == nil {
			return dir
		} else if !errors.Is(err, fs.ErrExist) {
			tb.Fatal(err)
		}
	}
}

func keep(to, dir, key string) error {
	if err := os.CopyFS(filepath.Join(to, "ledger"), os.DirFS(dir)); err != nil {
		return err
	}
	text, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "log.key"), text, 0o600)
}

func write(ctx context.Context, to string, entries []*ledger.Entry, attachments [][]byte) (err error) {
	key, err := writer.LoadOrCreateKey(filepath.Join(to, "log.key"), origin)
	if err != nil {
		return err
	}
	dir := filepath.Join(to, "ledger")
	log, err := writer.Open(ctx, writer.Config{Dir: dir, Key: key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close(ctx)) }()
	stored, err := ledger.OpenAttachments(dir)
	if err != nil {
		return err
	}
	for _, attachment := range attachments {
		if _, err := stored.Put(strings.NewReader(string(attachment))); err != nil {
			return err
		}
	}
	for _, e := range entries {
		kind := e.Kind
		if _, err := reading.PeekStatement(e.Body); kind.IsStatement() && err != nil {
			// No aggregator takes such an entry in, nor starts with one. It keeps its place.
			kind = ledger.Narinfo // which it is not either: it moves nothing
		}
		if _, err := log.Append(ctx, kind, e.Body); err != nil {
			return err
		}
	}
	return nil
}
