package command

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/aggregator"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// newData makes a data directory with a ledger of 300 entries and an attachment.
func newData(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	key, err := writer.LoadOrCreateKey(filepath.Join(data, aggregator.KeyFile), "test.example/ledger")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(data, aggregator.LedgerDir)
	log, err := writer.Open(t.Context(), writer.Config{Dir: dir, Key: key, CheckpointInterval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for i := range 300 {
		go func() {
			_, err := log.Append(t.Context(), ledger.Attestation, fmt.Append(nil, i))
			done <- err
		}()
	}
	for range 300 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	attachments, err := ledger.OpenAttachments(dir)
	if err == nil {
		_, err = attachments.Put(strings.NewReader("an attachment"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestLedgerCommands damages a ledger, and checks and repairs it by command.
func TestLedgerCommands(t *testing.T) {
	data, whole := newData(t), t.TempDir()
	if err := os.CopyFS(whole, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	flip := func(pattern string) {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(data, aggregator.LedgerDir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		text, err := os.ReadFile(found[0])
		if err == nil {
			text[len(text)/2] ^= 1
			err = os.WriteFile(found[0], text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(want int, says string, args ...string) {
		t.Helper()
		var out, messages bytes.Buffer
		got := Program().Run(t.Context(), &cli.Env{Stdout: &out, Stderr: &messages}, append(args, "--data", data))
		if said := out.String() + messages.String(); got != want || !strings.Contains(said, says) {
			t.Errorf("%s: status %d, want %d and %q, and it says\n%s", strings.Join(args, " "), got, want, says, said)
		}
	}
	run(0, "checked 300 entries, of which 300 are published, and 1 attachments: 0 files are wrong", "ledger", "check")
	run(64, "unexpected argument", "ledger", "check", "all")

	flip("tile/0/000")
	run(2, "repair\ttile/0/000\t", "ledger", "check")
	run(2, `"remedy": "repair"`, "ledger", "check", "--json")
	run(0, "tile/0/000 was made anew from the entries", "ledger", "repair")
	run(0, "0 files are wrong", "ledger", "check")

	flip("tile/entries/000")
	flip("attachments/sha256/*")
	run(3, "copy\ttile/entries/000\t", "ledger", "check")
	run(3, "copy\tattachments/sha256/", "ledger", "check")
	run(3, "repronet-aggregator ledger repair --from DIR|URL", "ledger", "repair")
	run(1, "no such file", "ledger", "repair", "--from", t.TempDir())
	run(0, "the ledger is whole", "ledger", "repair", "--from", whole)
	run(0, "0 files are wrong", "ledger", "check")
}
