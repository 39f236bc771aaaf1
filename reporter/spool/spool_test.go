package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

func sendAll(string, string) Choice { return Send }

// newSpool returns a spool and a real signer.
func newSpool(t *testing.T) (*Spool, *signing.Signer) {
	t.Helper()
	dir := t.TempDir()
	s, err := Create(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := signing.GenerateKey(signing.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := signing.LoadSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s, signer
}

// nixRecord returns a record with one output; what n differs in is the output.
func nixRecord(n int) *Record {
	name := fmt.Sprintf("/nix/store/%032d-package", n)
	return &Record{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Environment: map[string]string{"system": "x86_64-linux"},
		Build:       name + ".drv", Outputs: []Output{{Key: name, Digest: sha256.Sum256([]byte(name))}},
		Finished: time.Now().UTC().Truncate(time.Second), Occasion: attestation.OccasionBuild,
	}
}

func mustLock(t *testing.T, s *Spool) *Writer {
	t.Helper()
	w, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func mustPut(t *testing.T, s *Spool, records ...*Record) {
	t.Helper()
	for _, r := range records {
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
	}
}

func mustSeal(t *testing.T, w *Writer, signer *signing.Signer) []*Item {
	t.Helper()
	if _, err := w.Seal(t.Context(), sendAll, signer.SignPayload); err != nil {
		t.Fatal(err)
	}
	return outbox(t, w)
}

func outbox(t *testing.T, w *Writer) []*Item {
	t.Helper()
	names, err := w.Outbox()
	if err != nil {
		t.Fatal(err)
	}
	var items []*Item
	for _, name := range names {
		item, err := w.Item(name)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

// open verifies an item's bundle as an aggregator would.
func open(t *testing.T, signer *signing.Signer, item *Item) *attestation.Statement {
	t.Helper()
	v, err := sigstore.Open(item.Bundle, func(signing.BuilderID) (signing.Key, error) {
		return signing.Key{PublicKey: signer.Public()}, nil
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if v.PayloadDigest() != item.Payload {
		t.Errorf("item %d says its payload is %v, it is %v", item.Sequence, item.Payload, v.PayloadDigest())
	}
	return v.Statement()
}

func TestSealAndSettle(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	mustPut(t, s, nixRecord(1), nixRecord(2))
	items := mustSeal(t, w, signer)
	if len(items) != 1 {
		t.Fatalf("%d statements, want one of both records", len(items))
	}
	first := open(t, signer, items[0])
	if len(first.Subjects) != 2 || len(first.Builds) != 2 || first.Chain.Sequence != 0 {
		t.Errorf("statement %+v, want two builds and sequence 0", first)
	}
	if n, err := s.Waiting(); n != 0 || err != nil {
		t.Errorf("%d records wait after sealing (%v)", n, err)
	}
	mustPut(t, s, nixRecord(3))
	items = mustSeal(t, w, signer)
	second := open(t, signer, items[1])
	want := attestation.Chain{Stream: first.Chain.Stream, Sequence: 1, Previous: items[0].Payload}
	if diff := cmp.Diff(want, second.Chain); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
	if err := w.Settle([]Outcome{{Item: items[1], Index: 8}, {Item: items[0], Index: 7}}); err != nil {
		t.Fatal(err)
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	if status.Acknowledged.Statements != 2 || status.Acknowledged.Outputs != 3 || status.Outbox != 0 {
		t.Errorf("status %+v, want 2 statements and 3 outputs acknowledged", status)
	}
	mustPut(t, s, nixRecord(4))
	third := open(t, signer, mustSeal(t, w, signer)[0])
	want = attestation.Chain{Stream: first.Chain.Stream, Sequence: 2, Previous: items[1].Payload}
	if diff := cmp.Diff(want, third.Chain); diff != "" {
		t.Errorf("chain after all was settled (-want +got):\n%s", diff)
	}
}

// Whatever cannot be in one statement is in several.
func TestSealSplits(t *testing.T) {
	other := func(change func(*Record)) *Record {
		r := nixRecord(2)
		change(r)
		return r
	}
	tests := []struct {
		name   string
		record *Record
		want   int
	}{
		{"same kind", nixRecord(2), 1},
		{"same output", nixRecord(1), 2},
		{"environment", other(func(r *Record) { r.Environment = map[string]string{"system": "aarch64-linux"} }), 2},
		{"digest kind", other(func(r *Record) { r.DigestKind = attestation.File }), 2},
		{"ecosystem", other(func(r *Record) {
			r.Ecosystem, r.Build, r.Outputs[0].Key = "go", "example.org/x@v1.0.0", "example.org/x@v1.0.0^zip"
		}), 2},
		{"failure", other(func(r *Record) {
			r.Type, r.DigestKind, r.Failure, r.Recipe = attestation.BuildFailed, attestation.File, "exit status 1", r.Outputs[0].Digest
			r.Outputs[0].Digest = attestation.Digest{}
		}), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, signer := newSpool(t)
			mustPut(t, s, nixRecord(1), tt.record)
			items := mustSeal(t, mustLock(t, s), signer)
			if len(items) != tt.want {
				t.Errorf("%d statements, want %d", len(items), tt.want)
			}
			for _, item := range items {
				open(t, signer, item)
			}
		})
	}
}

// A statement fits a ledger entry, however long names are, and nothing is lost
// by splitting.
func TestSealFitsLedger(t *testing.T) {
	s, signer := newSpool(t)
	r := nixRecord(0)
	r.Ecosystem, r.Build, r.Outputs = "debian", strings.Repeat("b", 400), nil
	for i := range 1000 {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		// Names that compress as badly as names can.
		name := ""
		for len(name) < 300 {
			next := sha256.Sum256([]byte(name + attestation.Digest(sum).Hex()))
			for _, b := range next {
				name += string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~:"[b%64])
			}
		}
		r.Outputs = append(r.Outputs, Output{Key: "x/" + name, Digest: sum})
	}
	mustPut(t, s, r)
	outputs := 0
	for i, item := range mustSeal(t, mustLock(t, s), signer) {
		if item.Sequence != uint64(i) {
			t.Errorf("statement %d has sequence %d", i, item.Sequence)
		}
		if _, err := ledger.Pack(ledger.Attestation, item.Bundle); err != nil {
			t.Error(err)
		}
		outputs += len(open(t, signer, item).Subjects)
	}
	if outputs != 1000 {
		t.Errorf("%d outputs in statements, want 1000", outputs)
	}
}

func TestLongestRecordFits(t *testing.T) {
	s, signer := newSpool(t)
	r := nixRecord(0)
	r.Ecosystem, r.Build, r.Outputs = "debian", strings.Repeat("b", 512), nil
	for i := range MaxOutputs {
		name, sum := "", attestation.Digest(sha256.Sum256([]byte{byte(i)}))
		for len(name) < attestation.MaxNameLength-2 {
			sum = sha256.Sum256(sum[:])
			for _, b := range sum {
				name += string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~:"[b%64])
			}
		}
		r.Outputs = append(r.Outputs, Output{Key: "x/" + name[:attestation.MaxNameLength-2], Digest: sum})
	}
	mustPut(t, s, r)
	if items := mustSeal(t, mustLock(t, s), signer); len(items) != 1 {
		status, _ := s.Status()
		t.Errorf("%d statements of the largest record, want 1; %+v", len(items), status)
	}
}

func TestChoices(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	two := nixRecord(1)
	two.Outputs = append(two.Outputs, Output{Key: two.Outputs[0].Key + "-man", Digest: attestation.Digest{1}})
	mustPut(t, s, two, nixRecord(2), nixRecord(3))
	choose := func(_, key string) Choice {
		switch {
		case strings.HasSuffix(key, "-man"), strings.Contains(key, "2-"):
			return Retain
		case strings.Contains(key, "3-"):
			return Wait
		default:
			return Send
		}
	}
	if _, err := w.Seal(t.Context(), choose, signer.SignPayload); err != nil {
		t.Fatal(err)
	}
	items := outbox(t, w)
	if len(items) != 1 {
		t.Fatalf("%d statements, want 1", len(items))
	}
	if got := open(t, signer, items[0]); len(got.Subjects) != 1 || got.Subjects[0].Name != two.Outputs[0].Key {
		t.Errorf("subjects %v, want the one to send", got.Subjects)
	}
	if err := w.Settle([]Outcome{{Item: items[0], Index: 1}}); err != nil {
		t.Fatal(err)
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	if status.Retained != 2 || status.KeptPrivate != 0 || status.Waiting != 1 {
		t.Errorf("retained %d, waiting %d; want 2 and 1", status.Retained, status.Waiting)
	}
}

// A refused statement is kept, and the next one says so until one that says so
// is acknowledged.
func TestRefusedIsBridged(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	next := func(n int) *Item {
		mustPut(t, s, nixRecord(n))
		items := mustSeal(t, w, signer)
		return items[len(items)-1]
	}
	first := next(1)
	if err := w.Settle([]Outcome{{Item: first, Refusal: "Bad Request (400): no"}}); err != nil {
		t.Fatal(err)
	}
	second := next(2)
	if got := open(t, signer, second).Chain; got.Sequence != 1 || got.Previous != first.Payload || !cmp.Equal(got.Skipped, []attestation.Digest{first.Payload}) {
		t.Errorf("chain %+v, want one that skips the first", got)
	}
	if got := open(t, signer, next(3)).Chain; len(got.Skipped) != 0 {
		t.Errorf("skipped %v is said twice", got.Skipped)
	}
	if err := w.Settle([]Outcome{{Item: second, Refusal: "no"}}); err != nil {
		t.Fatal(err)
	}
	fourth := next(4)
	if got := open(t, signer, fourth).Chain.Skipped; !cmp.Equal(got, []attestation.Digest{first.Payload, second.Payload}) {
		t.Errorf("skipped %v, want the first and the second, which was to say it", got)
	}
	if err := w.Settle([]Outcome{{Item: fourth, Index: 1}}); err != nil {
		t.Fatal(err)
	}
	if got := open(t, signer, next(5)).Chain.Skipped; len(got) != 0 {
		t.Errorf("skipped %v although the log has it", got)
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	want := []Refused{{Sequence: 0, Outputs: 1, Reason: "Bad Request (400): no"}, {Sequence: 1, Outputs: 1, Reason: "no"}}
	if diff := cmp.Diff(want, status.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestLock(t *testing.T) {
	s, _ := newSpool(t)
	w := mustLock(t, s)
	if _, err := s.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v, want ErrLocked", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	mustLock(t, s)
}

func TestDamagedFiles(t *testing.T) {
	s, signer := newSpool(t)
	mustPut(t, s, nixRecord(1))
	w := mustLock(t, s)
	damaged := mustSeal(t, w, signer)[0]
	for name, text := range map[string]string{
		"queue/a.json":              "",
		"queue/b.json":              `{"type":"x"}`,
		"queue/c.json":              strings.Repeat("x", maxRecordSize+1),
		"outbox/" + damaged.name():  "{",
		"queue/.tmp-is-not-touched": "",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	mustPut(t, s, nixRecord(2))
	w = mustLock(t, s)
	items := mustSeal(t, w, signer)
	if len(items) != 1 || items[0].Stream == damaged.Stream {
		t.Errorf("outbox %v, want one statement of a new chain", items)
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{damaged.name(), "a.json", "b.json", "c.json"}
	slices.Sort(want)
	if diff := cmp.Diff(want, status.Corrupt); diff != "" {
		t.Errorf("set aside (-want +got):\n%s", diff)
	}
	if len(status.Problems) != 4 {
		t.Errorf("problems %v, want 4", status.Problems)
	}
}

func TestPutRefuses(t *testing.T) {
	s, _ := newSpool(t)
	for name, change := range map[string]func(*Record){
		"no outputs":    func(r *Record) { r.Outputs = nil },
		"private trait": func(r *Record) { r.Environment = map[string]string{"hostname": "x"} },
		"bad name":      func(r *Record) { r.Outputs[0].Key = "../x" },
		"no time":       func(r *Record) { r.Finished = time.Time{} },
	} {
		r := nixRecord(1)
		change(r)
		if err := s.Put(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n, err := s.Waiting(); n != 0 || err != nil {
		t.Errorf("%d records wait (%v)", n, err)
	}
}

// A writer that dies between any two steps leaves what the next one continues:
// each record in one statement, each statement counted once.
func TestCrashes(t *testing.T) {
	errCrash := errors.New("crash")
	s, signer := newSpool(t)
	copyTo := func(from, to string) {
		data, err := os.ReadFile(filepath.Join(s.dir, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, to), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, s, nixRecord(1))
	w := mustLock(t, s)
	if _, err := w.Seal(t.Context(), sendAll, func(context.Context, []byte) ([]byte, error) { return nil, errCrash }); !errors.Is(err, errCrash) {
		t.Fatalf("sealing: %v", err)
	}
	w.Close()

	// After the outbox file, before the queue's is deleted.
	names, err := s.list(queueDir)
	if err != nil || len(names) != 1 {
		t.Fatalf("queue %v, %v", names, err)
	}
	copyTo("queue/"+names[0], "saved")
	w = mustLock(t, s)
	item := mustSeal(t, w, signer)[0]
	w.Close()
	copyTo("saved", "queue/"+names[0])
	w = mustLock(t, s)
	if items := mustSeal(t, w, signer); len(items) != 1 {
		t.Errorf("%d statements of one record", len(items))
	}

	// After the state that counts a statement, before the statement is deleted.
	copyTo("outbox/"+item.name(), "saved")
	if err := w.Settle([]Outcome{{Item: item, Index: 3}}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	copyTo("saved", "outbox/"+item.name())
	w = mustLock(t, s)
	if items := outbox(t, w); len(items) != 0 {
		t.Errorf("an acknowledged statement is back: %v", items)
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	if status.Acknowledged.Statements != 1 {
		t.Errorf("%d statements acknowledged, want 1", status.Acknowledged.Statements)
	}
}
