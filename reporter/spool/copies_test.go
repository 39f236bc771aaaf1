package spool

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

// putCopy writes a file of a size in the place of a copy, which takes no room.
func putCopy(t *testing.T, s *Spool, index uint64, size int64) {
	t.Helper()
	path := filepath.Join(s.dir, sentDir, copyName(index, tlog.Hash{1}, &Item{Stream: "x", Sequence: index}))
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// TestCopiesAreBounded: of too many copies, of too many bytes and of old ones the newest
// stay.
func TestCopiesAreBounded(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, s *Spool)
		first   uint64 // of those that stay
		n       int
	}{
		"bytes": {func(t *testing.T, s *Spool) {
			for i := range uint64(5) {
				putCopy(t, s, i, maxCopiesSize/3)
			}
		}, 2, 3},
		"number": {func(t *testing.T, s *Spool) {
			for i := range uint64(maxCopies + 2) {
				putCopy(t, s, i, 0)
			}
		}, 2, maxCopies},
		"age": {func(t *testing.T, s *Spool) {
			for i := range uint64(3) {
				putCopy(t, s, i, 0)
			}
			copies, err := s.Copies()
			if err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-CopyAge - time.Minute)
			if err := os.Chtimes(filepath.Join(s.dir, sentDir, copies[0].file), old, old); err != nil {
				t.Fatal(err)
			}
		}, 1, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := newSpool(t)
			w := mustLock(t, s)
			tt.prepare(t, s)
			if err := w.ExpireCopies(); err != nil {
				t.Fatal(err)
			}
			copies, err := s.Copies()
			if err != nil || len(copies) != tt.n || copies[0].Index != tt.first {
				t.Errorf("%d copies, %v: want %d from %d on", len(copies), err, tt.n, tt.first)
			}
		})
	}
}

// TestUseLedger: what another ledger had, or one that is not known, is forgotten.
func TestUseLedger(t *testing.T) {
	s, _ := newSpool(t)
	w := mustLock(t, s)
	yes, no := func([]byte) bool { return true }, func([]byte) bool { return false }
	for n, step := range []struct {
		name   string
		isOurs func([]byte) bool
		older  bool // a release that kept no name was at work
		seen   bool
		forgot bool
	}{
		{"a", nil, true, false, true},
		{"a", nil, false, false, false},
		{"a", yes, true, true, false},
		{"a", no, true, true, true},
		{"a", no, false, true, false},
		{"b", yes, false, true, true},
		{"b", nil, false, false, false},
	} {
		putCopy(t, s, 1, 0)
		if step.older {
			_ = os.Remove(filepath.Join(s.dir, ledgerFile))
		}
		if step.seen {
			if err := w.SetSeen([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		forgot, err := w.UseLedger(step.name, step.isOurs)
		copies, copiesErr := s.Copies()
		if err != nil || copiesErr != nil || forgot != step.forgot || (len(copies) == 0) != step.forgot {
			t.Errorf("step %d: forgot %v, %d copies, %v, %v", n, forgot, len(copies), err, copiesErr)
		}
	}
}

// TestUseLedgerForgetsLost: what one ledger had and lost is not sent to another, which gets
// what none acknowledged yet.
func TestUseLedgerForgetsLost(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	if _, err := w.UseLedger("a", nil); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, nixRecord(1))
	if err := w.Settle([]Outcome{{Item: mustSeal(t, w, signer)[0], Leaf: tlog.Hash{1}}}); err != nil {
		t.Fatal(err)
	}
	copies, err := s.Copies()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.SendAgain(copies); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	mustPut(t, s, nixRecord(2))
	if items := mustSeal(t, w, signer); len(items) != 2 {
		t.Fatalf("%d items", len(items))
	}
	if forgot, err := w.UseLedger("b", nil); !forgot || err != nil {
		t.Errorf("forgot %v, %v", forgot, err)
	}
	if items := outbox(t, w); len(items) != 1 || items[0].Again || len(w.outbox) != 1 {
		t.Errorf("outbox %+v", items)
	}
}

// TestReceipts: lines that are cut off, damaged or too long are skipped; that the file
// cannot be read is an error.
func TestReceipts(t *testing.T) {
	s, _ := newSpool(t)
	read := func() (indices []uint64, err error) {
		for receipt, err := range s.Receipts() {
			if err != nil {
				return indices, err
			}
			indices = append(indices, receipt.Index)
		}
		return indices, nil
	}
	if indices, err := read(); len(indices) != 0 || err != nil {
		t.Errorf("without a file: %v, %v", indices, err)
	}
	path := filepath.Join(s.dir, ReceiptsFile)
	long := bytes.Repeat([]byte("x"), 2*maxReceipt)
	text := slices.Concat([]byte("\n{\"index\":1}\n\n{\"ind\n"), long, []byte("{\"index\":9}\n{\"index\":2}\n{\"index\":3}"))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	indices, err := read()
	if diff := cmp.Diff([]uint64{1, 2, 3}, indices); diff != "" || err != nil {
		t.Errorf("indices (-want +got), %v:\n%s", err, diff)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if indices, err := read(); err == nil {
		t.Errorf("a directory has the receipts %v", indices)
	}
}

// TestRefusedTakenAway: what is requeued while the status is read is left out.
func TestRefusedTakenAway(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	mustPut(t, s, nixRecord(1))
	if err := w.Settle([]Outcome{{Item: mustSeal(t, w, signer)[0], Refusal: "no"}}); err != nil {
		t.Fatal(err)
	}
	names, err := s.list(refusedDir)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := s.readRefused(append([]string{fmt.Sprintf("x-%012d.json", 1)}, names...))
	if err != nil || len(refused) != 1 {
		t.Errorf("%+v, %v", refused, err)
	}
}

// TestConvictionsByAnyName: the proofs are found in a directory with a name of any characters.
func TestConvictionsByAnyName(t *testing.T) {
	s, err := Create(filepath.Join(t.TempDir(), "of [alice"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.dir, convictionsDir, "1.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{file}, status.Convictions); diff != "" {
		t.Errorf("convictions (-want +got):\n%s", diff)
	}
}
