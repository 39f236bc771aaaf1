package aggregator_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/aggregator"
	"repronet.dev/aggregator/state"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/signing/signingtest"
)

// A backed is a data directory whose ledger is written to while it is backed up.
type backed struct {
	t         *testing.T
	data, dir string
	log       *writer.Log
	files     *ledger.Attachments
}

func newBacked(t *testing.T, data string) *backed {
	t.Helper()
	config := aggregator.DefaultConfig()
	config.Data, config.Origin = data, "backup.example/log"
	if _, err := aggregator.Found(config); err != nil {
		t.Fatal(err)
	}
	b := &backed{t: t, data: data, dir: filepath.Join(t.TempDir(), "backup")}
	b.open()
	return b
}

func (b *backed) open() {
	b.t.Helper()
	key, err := writer.LoadKey(filepath.Join(b.data, aggregator.KeyFile))
	if err != nil {
		b.t.Fatal(err)
	}
	dir := filepath.Join(b.data, aggregator.LedgerDir)
	if b.log, err = writer.Open(b.t.Context(), writer.Config{Dir: dir, Key: key, CheckpointInterval: 100 * time.Millisecond}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.log.Close(context.WithoutCancel(b.t.Context())) })
	if b.files, err = ledger.OpenAttachments(dir); err != nil {
		b.t.Fatal(err)
	}
}

// write appends entries and waits until they are published.
func (b *backed) write(n int) {
	b.t.Helper()
	for range n - 1 {
		if _, err := b.log.Append(b.t.Context(), ledger.Narinfo, []byte("an entry")); err != nil {
			b.t.Fatal(err)
		}
	}
	b.append(ledger.Narinfo, []byte("the last entry"))
}

func (b *backed) append(kind ledger.Kind, body []byte) {
	b.t.Helper()
	index, err := b.log.Append(b.t.Context(), kind, body)
	if err == nil {
		_, err = b.log.Receipt(b.t.Context(), index)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *backed) attach(text string) ledger.AttachmentID {
	b.t.Helper()
	id, err := b.files.Put(strings.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// taken takes a backup, which has to have so many entries, some of them new.
func (b *backed) taken(entries, fresh uint64) {
	b.t.Helper()
	got, err := aggregator.TakeBackup(b.t.Context(), b.data, b.dir, func(uint64, uint64) {})
	if err != nil {
		b.t.Fatal(err)
	}
	if got.Entries != entries || got.New != fresh || got.Origin != "backup.example/log" || time.Since(got.Newest) > time.Hour {
		b.t.Errorf("%+v, want %d entries, %d new", got, entries, fresh)
	}
}

func (b *backed) restored(entries uint64) (data string) {
	b.t.Helper()
	data = filepath.Join(b.t.TempDir(), "restored")
	got, err := aggregator.RestoreBackup(b.t.Context(), b.dir, data, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if got.Entries != entries {
		b.t.Errorf("%+v, want %d entries", got, entries)
	}
	return data
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	first, err := os.ReadFile(a)
	second, err2 := os.ReadFile(b)
	if err != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Errorf("%s and %s are not the same (%v, %v)", a, b, err, err2)
	}
}

// TestBackup: a backup grows with the ledger while that is written, loses what is erased, and
// becomes a data directory in which the ledger goes on.
func TestBackup(t *testing.T) {
	b := newBacked(t, filepath.Join(t.TempDir(), "data"))
	secret := filepath.Join(b.data, "pseudonyms.key")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	waits, err := state.Open(t.Context(), filepath.Join(b.data, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	builder := signingtest.New(t).Public().Builder()
	now := time.Now()
	if _, err := waits.Ask(t.Context(), state.Request{Builder: builder, Document: []byte("asks"), Created: now, Received: now}); err != nil {
		t.Fatal(err)
	}
	kept, erased := b.attach("kept"), b.attach("erased")
	b.write(3)
	b.taken(3, 3)
	b.taken(3, 0)
	b.write(300)
	body, err := (&enrolment.Erasure{Attachment: attestation.Digest(erased), Reason: "asked for"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.append(ledger.Erased, body)
	if err := b.files.Erase(erased); err != nil {
		t.Fatal(err)
	}
	b.taken(304, 301)
	// As if that run had ended before it erased.
	if err := os.WriteFile(filepath.Join(b.dir, "log", "attachments", "sha256", attestation.Digest(erased).Hex()), []byte("erased"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.taken(304, 0)

	data := b.restored(304)
	sameFile(t, secret, filepath.Join(data, "pseudonyms.key"))
	sameFile(t, filepath.Join(b.data, aggregator.KeyFile), filepath.Join(data, aggregator.KeyFile))
	attachments := filepath.Join(data, aggregator.LedgerDir, "attachments", "sha256")
	sameFile(t, filepath.Join(b.data, aggregator.LedgerDir, "attachments", "sha256", attestation.Digest(kept).Hex()), filepath.Join(attachments, attestation.Digest(kept).Hex()))
	if _, err := os.Stat(filepath.Join(attachments, attestation.Digest(erased).Hex())); err == nil {
		t.Error("what was erased is in the backup")
	}
	again, err := state.Open(t.Context(), filepath.Join(data, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if r, ok, err := again.Request(t.Context(), builder, now); err != nil || !ok || string(r.Document) != "asks" {
		t.Errorf("the request is %+v, %t, %v", r, ok, err)
	}
	goesOn := &backed{t: t, data: data}
	goesOn.open()
	goesOn.write(2)
	if goesOn.log.Size() != 306 {
		t.Errorf("it goes on with %d entries", goesOn.log.Size())
	}

	// The original goes on, too: two histories, of which the backup has one.
	b.write(1)
	b.taken(305, 1)
	goesOn.dir = b.dir
	if _, err := aggregator.TakeBackup(t.Context(), data, b.dir, func(uint64, uint64) {}); err == nil || !strings.Contains(err.Error(), "two histories") {
		t.Errorf("another history into the backup: %v", err)
	}
	b.taken(305, 0)
}

// TestBackupBrokenOff: a backup that was broken off is the one before.
func TestBackupBrokenOff(t *testing.T) {
	b := newBacked(t, filepath.Join(t.TempDir(), "data"))
	b.write(2)
	b.taken(2, 2)
	b.write(300)
	inTheWay := filepath.Join(b.dir, "log", "tile", "0", "001.p")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := aggregator.TakeBackup(t.Context(), b.data, b.dir, func(uint64, uint64) {}); err == nil {
		t.Error("it is not broken off")
	}
	b.restored(2)
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	b.taken(302, 300)
	b.restored(302)
}

func TestBackupRefuses(t *testing.T) {
	b := newBacked(t, filepath.Join(t.TempDir(), "data"))
	take := func(data, dir, want string) {
		t.Helper()
		if got, err := aggregator.TakeBackup(t.Context(), data, dir, func(uint64, uint64) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("backing %s up to %s: %+v, %v; want %q", data, dir, got, err, want)
		}
	}
	restore := func(dir, data, want string) {
		t.Helper()
		if got, err := aggregator.RestoreBackup(t.Context(), dir, data, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("restoring %s to %s: %+v, %v; want %q", dir, data, got, err, want)
		}
	}
	take(t.TempDir(), b.dir, "log.key")
	b.write(2)
	take(b.data, b.data, "is in the data directory")
	take(b.data, filepath.Join(b.data, "backup"), "is in the data directory")
	b.taken(2, 2)
	other := newBacked(t, filepath.Join(t.TempDir(), "data"))
	other.write(1)
	take(other.data, b.dir, "")
	b.taken(2, 0)

	restore(b.dir, b.data, "is not empty")
	restore(t.TempDir(), filepath.Join(t.TempDir(), "data"), "is no backup")
	entries := filepath.Join(b.dir, "log", "tile", "entries", "000.p", "2")
	text, err := os.ReadFile(entries)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(entries, text, 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	restore(b.dir, data, "the backup is damaged")
	if _, err := os.Stat(data); err == nil {
		t.Error("a damaged backup is put in place")
	}
}
