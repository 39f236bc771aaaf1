package writer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

const origin = "repro.example.org/log"

func newKey(t testing.TB, dir string) *writer.Key {
	t.Helper()
	key, err := writer.LoadOrCreateKey(filepath.Join(dir, "log.key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t testing.TB, dir string) *writer.Log {
	t.Helper()
	log, err := writer.Open(t.Context(), writer.Config{
		Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), CheckpointInterval: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func closeLog(t testing.TB, log *writer.Log) {
	t.Helper()
	if err := log.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// checkLog holds what is true of every log, and returns its entries: each is in
// the tree of the published checkpoint, the times of receipt never decrease, and
// what is read unchecked is the same.
func checkLog(t testing.TB, dir string) []ledger.Record {
	t.Helper()
	reader := ledger.NewReader(ledger.Dir(filepath.Join(dir, "log")), newKey(t, dir).Verifier())
	checkpoint, err := reader.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var records []ledger.Record
	var last time.Time
	for record, err := range reader.Tree(checkpoint).Records(t.Context(), 0, checkpoint.Size) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := record.Entry()
		if err != nil {
			t.Fatal(err)
		}
		if entry.ReceivedAt.Before(last) {
			t.Fatalf("entry %d was received at %s, the one before at %s", record.Index, entry.ReceivedAt, last)
		}
		last = entry.ReceivedAt
		records = append(records, record)
	}
	var local []ledger.Record
	for record, err := range reader.Local(checkpoint.Size).Records(t.Context(), 0, checkpoint.Size) {
		if err != nil {
			t.Fatal(err)
		}
		local = append(local, record)
	}
	if diff := cmp.Diff(records, local); diff != "" {
		t.Errorf("read unchecked, the log is another (-checked +unchecked):\n%s", diff)
	}
	return records
}

func body(t testing.TB, record ledger.Record) string {
	t.Helper()
	entry, err := record.Entry()
	if err != nil {
		t.Fatal(err)
	}
	return string(entry.Body)
}

func TestAppendUnderLoad(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	const writers, each = 64, 40
	var mu sync.Mutex
	acknowledged := map[uint64]string{}
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				text := fmt.Sprintf("writer %d entry %d %s", w, i, strings.Repeat("x", i*7))
				index, err := log.Append(t.Context(), ledger.Attestation, []byte(text))
				if err != nil {
					t.Error(err)
					return
				}
				if size := log.Size(); size <= index {
					t.Errorf("entry %d is acknowledged and the log has %d", index, size)
				}
				mu.Lock()
				acknowledged[index] = text
				mu.Unlock()
			}
		})
	}
	group.Wait()
	closeLog(t, log)
	got := map[uint64]string{}
	for _, record := range checkLog(t, dir) {
		got[record.Index] = body(t, record)
	}
	if diff := cmp.Diff(acknowledged, got); diff != "" {
		t.Errorf("the log is not what was acknowledged (-want +got):\n%s", diff)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		log := open(t, dir)
		if got, want := log.Size(), uint64(round*3); got != want {
			t.Fatalf("round %d: size %d, want %d", round, got, want)
		}
		for i := range 3 {
			if _, err := log.Append(t.Context(), ledger.Enrolment, fmt.Appendf(nil, "%d/%d", round, i)); err != nil {
				t.Fatal(err)
			}
		}
		closeLog(t, log)
	}
	records := checkLog(t, dir)
	if len(records) != 12 || body(t, records[7]) != "2/1" {
		t.Errorf("got %d entries, the eighth %q", len(records), body(t, records[7]))
	}
}

// A bubble's clock starts in the year 2000: long before what the log has.
func TestClockStepsBack(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	if _, err := log.Append(t.Context(), ledger.Attestation, []byte("now")); err != nil {
		t.Fatal(err)
	}
	closeLog(t, log)
	makeCodec(t)
	synctest.Test(t, func(t *testing.T) {
		config := writer.Config{Dir: filepath.Join(dir, "log"), Key: newKey(t, dir)}
		if _, err := writer.Open(t.Context(), config); !isClockError(err) {
			t.Fatalf("a start in the year 2000: %v, want a ClockError", err)
		}
		config.ClockIsRight = true
		log, err := writer.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer closeLog(t, log)
		if _, err := log.Append(t.Context(), ledger.Attestation, []byte("in the year 2000")); err != nil {
			t.Fatal(err)
		}
	})
	if records := checkLog(t, dir); len(records) != 2 {
		t.Errorf("%d entries, want 2", len(records))
	}
}

// makeCodec has the codec of entries made: it holds channels, which must not be made in a
// bubble, or nothing outside of it could use them.
func makeCodec(t *testing.T) {
	t.Helper()
	entry, err := (&ledger.Entry{Kind: ledger.Attestation, ReceivedAt: time.Now()}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.DecodeEntry(entry); err != nil {
		t.Fatal(err)
	}
}

func isClockError(err error) bool {
	_, is := errors.AsType[*writer.ClockError](err)
	return is
}

// TestClockAhead starts, and goes on, with a clock that was set years ahead.
func TestClockAhead(t *testing.T) {
	dir := t.TempDir()
	makeCodec(t)
	synctest.Test(t, func(t *testing.T) { // in the year 2000
		log := open(t, dir)
		if _, err := log.Append(t.Context(), ledger.Attestation, []byte("in the year 2000")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * 24 * time.Hour)
		if _, err := log.Append(t.Context(), ledger.Attestation, []byte("a month later")); !errors.Is(err, ledger.ErrUnavailable) || !isClockError(log.Trouble()) {
			t.Errorf("an entry a month after the last: %v, trouble %v", err, log.Trouble())
		}
		closeLog(t, log)
	})
	_, err := writer.Open(t.Context(), writer.Config{Dir: filepath.Join(dir, "log"), Key: newKey(t, dir)})
	if !isClockError(err) || !strings.Contains(err.Error(), "--clock-is-right") {
		t.Errorf("a start decades later: %v, want a ClockError", err)
	}
	if records := checkLog(t, dir); len(records) != 1 {
		t.Errorf("%d entries, want 1", len(records))
	}
}

func TestReceipt(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	defer closeLog(t, log)
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() {
			text := fmt.Sprintf("entry %d", i)
			index, err := log.Append(t.Context(), ledger.Attestation, []byte(text))
			if err != nil {
				t.Error(err)
				return
			}
			receipt, err := log.Receipt(t.Context(), index)
			if err != nil {
				t.Error(err)
				return
			}
			entry, err := receipt.Verify(newKey(t, dir).Verifier())
			if err != nil {
				t.Error(err)
				return
			}
			if string(entry.Body) != text || receipt.Index != index {
				t.Errorf("receipt of %q is of %d, %q", text, receipt.Index, entry.Body)
			}
			published, err := os.ReadFile(filepath.Join(dir, "log", "checkpoint"))
			if err != nil {
				t.Error(err)
				return
			}
			if c, err := ledger.OpenCheckpoint(published, newKey(t, dir).Verifier()); err != nil || c.Size <= index {
				t.Errorf("the receipt of %d came before the checkpoint: %v, %v", index, c, err)
			}
		})
	}
	group.Wait()
}

func TestReceiptOfOldEntry(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	if _, err := log.Append(t.Context(), ledger.Attestation, []byte("old")); err != nil {
		t.Fatal(err)
	}
	closeLog(t, log)
	log = open(t, dir)
	defer closeLog(t, log)
	receipt, err := log.Receipt(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if entry, err := receipt.Verify(newKey(t, dir).Verifier()); err != nil || string(entry.Body) != "old" {
		t.Errorf("receipt: %v, %v", entry, err)
	}
}

func TestReceiptRefusals(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	defer closeLog(t, log)
	for range 5 {
		if _, err := log.Append(t.Context(), ledger.Attestation, []byte("entry")); err != nil {
			t.Fatal(err)
		}
	}
	good, err := log.Receipt(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(r *ledger.Receipt){
		"another index":    func(r *ledger.Receipt) { r.Index = 3 },
		"index past tree":  func(r *ledger.Receipt) { r.Index = 5000 },
		"another entry":    func(r *ledger.Receipt) { r.Entry = append(bytes.Clone(r.Entry), 0) },
		"no proof":         func(r *ledger.Receipt) { r.Proof = nil },
		"another proof":    func(r *ledger.Receipt) { r.Proof = append([]tlog.Hash{{1}}, r.Proof[1:]...) },
		"other checkpoint": func(r *ledger.Receipt) { r.Checkpoint = strings.Replace(r.Checkpoint, "\n5\n", "\n6\n", 1) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			bad := *good
			change(&bad)
			if _, err := bad.Verify(newKey(t, dir).Verifier()); !errors.Is(err, ledger.ErrInvalid) {
				t.Errorf("Verify: %v, want ErrInvalid", err)
			}
		})
	}
	other := newKey(t, t.TempDir())
	if _, err := good.Verify(other.Verifier()); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("Verify under another key of the same name: %v, want ErrInvalid", err)
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	_, err := writer.Open(t.Context(), writer.Config{Dir: filepath.Join(dir, "log"), Key: newKey(t, dir)})
	if !errors.Is(err, writer.ErrLocked) {
		t.Errorf("second writer: %v, want ErrLocked", err)
	}
	closeLog(t, log)
	closeLog(t, open(t, dir))
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	noise := make([]byte, ledger.MaxEntrySize+1)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // it never fails
	// A body that zstd makes no smaller is no entry, though it is far under 4 MiB.
	if _, err := log.Append(t.Context(), ledger.Attestation, noise); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("%d bytes that do not compress: %v, want ErrTooLarge", len(noise), err)
	}
	if _, err := log.Append(t.Context(), ledger.Attestation, make([]byte, ledger.MaxBodySize+1)); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("body of 4 MiB and a byte: %v, want ErrTooLarge", err)
	}
	if _, err := log.Append(t.Context(), "Not a kind", nil); err == nil {
		t.Error("a kind with blanks was taken")
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.Receipt(canceled, 7); !errors.Is(err, context.Canceled) {
		t.Errorf("receipt of what is not there: %v, want Canceled", err)
	}
	closeLog(t, log)
	if _, err := log.Append(t.Context(), ledger.Attestation, nil); !errors.Is(err, writer.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

func TestWaitSize(t *testing.T) {
	log := open(t, t.TempDir())
	defer closeLog(t, log)
	sizes := make(chan uint64)
	go func() {
		size, err := log.WaitSize(t.Context(), 0)
		if err != nil {
			t.Error(err)
		}
		sizes <- size
	}()
	if _, err := log.Append(t.Context(), ledger.Attestation, nil); err != nil {
		t.Fatal(err)
	}
	if size := <-sizes; size != 1 {
		t.Errorf("WaitSize: %d, want 1", size)
	}
}

func TestKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.key")
	key := newKey(t, dir)
	again, err := writer.LoadOrCreateKey(path, origin)
	if err != nil || again.String() != key.String() {
		t.Fatalf("loaded again: %v, %v; want %v", again, err, key)
	}
	if _, err := writer.LoadOrCreateKey(path, "other.example.org/log"); err == nil {
		t.Error("the key of another log was loaded")
	}
	if _, err := writer.LoadOrCreateKey(filepath.Join(dir, "new"), "with a blank"); err == nil {
		t.Error("an origin with a blank was taken")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.LoadOrCreateKey(path, origin); err == nil {
		t.Error("a key that others can read was loaded")
	}
}
