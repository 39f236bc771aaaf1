package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/needtest"
)

// newFullable returns a spool on a file system of 4 MiB.
func newFullable(t *testing.T) *Spool {
	t.Helper()
	needtest.Root(t, "mount a small file system")
	dir := t.TempDir()
	ctx := context.WithoutCancel(t.Context())
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "size=4m", "none", dir).CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	t.Cleanup(func() {
		if out, err := exec.CommandContext(ctx, "umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%s, %v", out, err)
		}
	})
	s, err := Create(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFullDisk: a spool whose file system is full of its own records delivers them, and
// has room again.
func TestFullDisk(t *testing.T) {
	_, signer := newSpool(t)
	s := newFullable(t)
	if err := mustLock(t, s).Close(); err != nil { // which makes the reserve
		t.Fatal(err)
	}
	n := 0
	for {
		err := s.Put(nixRecord(n))
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 100 {
		t.Fatalf("only %d records fit", n)
	}
	w := mustLock(t, s)
	items := mustSeal(t, w, signer)
	outputs := uint64(0)
	for i, item := range items {
		outputs += item.Outputs
		outcome := Outcome{Item: item, Index: uint64(i), Leaf: tlog.Hash{byte(i)}, Receipt: []byte(`{"index":0}`)}
		if err := w.Settle([]Outcome{outcome}); err != nil {
			t.Fatal(err)
		}
	}
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	if outputs != uint64(n) || status.Acknowledged.Outputs != uint64(n) || status.Waiting != 0 || status.Outbox != 0 {
		t.Errorf("%d records, %d sealed; status %+v", n, outputs, status)
	}
	if _, err := os.Stat(filepath.Join(s.dir, reserveFile)); err != nil {
		t.Errorf("the next time: %v", err)
	}
}

// fill writes a file beside a spool until there is no room for anything more.
func fill(t *testing.T, s *Spool) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(filepath.Dir(s.dir), "filling"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestFullDiskElsewhere: whatever the writer does besides goes on on a full file system
// too, and no copy is given up that is needed, or said to be gone that is not.
func TestFullDiskElsewhere(t *testing.T) {
	_, signer := newSpool(t)
	for name, do := range map[string]func(w *Writer, copies []Copy) error{
		"requeue": func(w *Writer, _ []Copy) error {
			n, err := w.Requeue()
			if err == nil && n != 1 {
				err = fmt.Errorf("%d statements", n)
			}
			return err
		},
		"send again": func(w *Writer, copies []Copy) error {
			n, err := w.SendAgain(copies)
			if err == nil && n != len(copies) {
				err = fmt.Errorf("%d statements of %d", n, len(copies))
			}
			return err
		},
		"sign as":    func(w *Writer, _ []Copy) error { return w.SignAs("another") },
		"expire":     func(w *Writer, _ []Copy) error { return w.Expire(0) },
		"contact":    func(w *Writer, _ []Copy) error { return w.SetContact(1, errors.New(strings.Repeat("x", 8<<10))) },
		"use ledger": func(w *Writer, _ []Copy) error { _, err := w.UseLedger("x", nil); return err },
		"begin again": func(w *Writer, _ []Copy) error {
			// A statement that is damaged begins a new chain.
			item := filepath.Join(w.dir, outboxDir, "x-000000000000.json")
			return errors.Join(os.Rename(filepath.Join(w.dir, sentDir, copies0(w)), item), w.Close(), relock(w.Spool))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFullable(t)
			w := mustLock(t, s)
			for n := range 5 {
				mustPut(t, s, nixRecord(n))
				outcome := Outcome{Item: mustSeal(t, w, signer)[0], Index: uint64(n), Leaf: tlog.Hash{byte(n + 1)}}
				if n == 4 {
					outcome.Refusal = "no"
				}
				if err := w.Settle([]Outcome{outcome}); err != nil {
					t.Fatal(err)
				}
			}
			mustPut(t, s, nixRecord(9))
			if _, err := w.Seal(t.Context(), func(string, string) Choice { return Retain }, signer.SignPayload); err != nil {
				t.Fatal(err)
			}
			if _, err := s.AskRequeue(); err != nil {
				t.Fatal(err)
			}
			copies, err := s.Copies()
			if err != nil || len(copies) != 4 {
				t.Fatal(len(copies), err)
			}
			fill(t, s)
			if err := do(w, copies); err != nil {
				t.Error(err)
			}
		})
	}
}

func copies0(w *Writer) string {
	copies, err := w.Copies()
	if err != nil || len(copies) == 0 {
		return "none"
	}
	return copies[0].file
}

func relock(s *Spool) error {
	w, err := s.Lock()
	if err != nil {
		return err
	}
	return w.Close()
}

// TestRoomIsNamed: what is said to have been deleted was.
func TestRoomIsNamed(t *testing.T) {
	_, signer := newSpool(t)
	s := newFullable(t)
	w := mustLock(t, s)
	for n, want := range []string{"the reserve had to be deleted", "1 older copies"} {
		if n > 0 {
			mustPut(t, s, nixRecord(n))
			if err := w.Settle([]Outcome{{Item: mustSeal(t, w, signer)[0], Leaf: tlog.Hash{1}}}); err != nil {
				t.Fatal(err)
			}
		}
		fill(t, s)
		if err := w.SetSeen(make([]byte, 8<<10)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(filepath.Dir(s.dir), "filling")); err != nil {
			t.Fatal(err)
		}
		w.keepReserve()
		status, err := s.Status()
		if err != nil || len(status.Problems) != n+1 || !strings.Contains(status.Problems[n].Message, want) {
			t.Errorf("%+v, %v", status, err)
		}
	}
}
