package verify_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

func TestMirrorGrows(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	address, dir := l.Serve(), t.TempDir()
	var want []uint64
	for round := range 5 {
		l.Fill(round*70, "mine")
		want = append(want, l.Attest(alice, verifytest.Digest(byte(round+1))))
		size := l.Publish().Size
		m := openMirror(t, dir, l)
		pins := l.Pins(address)
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Fatal(err)
		}
		if m.Checkpoint().Size != size {
			t.Errorf("round %d: the mirror has %d entries, the log %d", round, m.Checkpoint().Size, size)
		}
		e, err := m.Evidence(t.Context(), pins, "generic", verifytest.Output)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, c := range e.Claims {
			got = append(got, c.Index)
		}
		if !slices.Equal(got, want) {
			t.Errorf("round %d: claims at %d, want %d", round, got, want)
		}
		closeMirror(t, m)
	}
}

func TestEmptyLedger(t *testing.T) {
	l := verifytest.NewLedger(t)
	pins := l.Pins(l.Serve())
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	for _, want := range []divergence.Verdict{divergence.Unbuilt, divergence.Single} {
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Fatal(err)
		}
		e, err := m.Evidence(t.Context(), pins, "generic", verifytest.Output)
		if err != nil || e.Judgement.Verdict != want {
			t.Fatalf("%v, %v; want %v", e, err, want)
		}
		alice := l.Enrol("alice")
		l.Attest(alice, verifytest.Digest(1))
		l.Publish()
		pins = l.Pins(pins.Aggregators...)
	}
}

// A crash between the index and its watermark leaves records that will be there
// twice, and perhaps half a one.
func TestIndexAfterCrash(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	first := l.Attest(alice, verifytest.Digest(1))
	l.Publish()
	dir, pins := t.TempDir(), l.Pins(l.Serve())
	m := openMirror(t, dir, l)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	closeMirror(t, m)
	for _, pattern := range []string{"recent", "roster"} {
		files, err := filepath.Glob(filepath.Join(dir, "index", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no index files %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(append(data, data...), "half"...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	second := l.Attest(alice, verifytest.Digest(2))
	l.Publish()
	m = openMirror(t, dir, l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	e, err := m.Evidence(t.Context(), pins, "generic", verifytest.Output)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Claims) != 2 || e.Claims[0].Index != first || e.Claims[1].Index != second {
		t.Errorf("claims %+v, want those at %d and %d", e.Claims, first, second)
	}
}

func TestForkAndStale(t *testing.T) {
	l := verifytest.NewLedger(t)
	l.Enrol("alice")
	l.Fill(4, "mine")
	l.Publish()
	dir, pins := t.TempDir(), l.Pins(l.Serve())
	m := openMirror(t, dir, l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	seen := m.Checkpoint()

	for name, size := range map[string]int{"smaller": 3, "as large": 5, "larger": 300} {
		t.Run(name, func(t *testing.T) {
			twin := l.Twin()
			twin.Fill(size, "another history")
			twin.Publish()
			err := l.Pins(twin.Serve()).Update(t.Context(), m, quiet)
			if _, fork := errors.AsType[*ledger.ForkError](err); !fork || !errors.Is(err, ledger.ErrInvalid) {
				t.Fatalf("got %v, want a fork", err)
			}
			if m.Checkpoint() != seen {
				t.Error("the mirror took the other history")
			}
			kept, globErr := filepath.Glob(filepath.Join(dir, "forks", "*"))
			if globErr != nil || len(kept) < 2 {
				t.Fatalf("kept %v, %v", kept, globErr)
			}
			named := 0
			for _, path := range kept {
				text, readErr := os.ReadFile(path)
				if readErr != nil {
					t.Fatal(readErr)
				}
				if _, openErr := ledger.OpenCheckpoint(text, l.Key.Verifier()); openErr != nil {
					t.Error(openErr)
				}
				if strings.Contains(err.Error(), path) {
					named++
				}
			}
			if named != 2 {
				t.Errorf("%d checkpoints are named in %q, want 2", named, err)
			}
		})
	}

	t.Run("stale", func(t *testing.T) {
		old := l.Publish()
		handler := verifytest.Replacing(l.Handler(), "checkpoint", old.Text)
		l.Append(ledger.Narinfo, []byte("newer")) // which is none
		l.Publish()
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Fatal(err)
		}
		stale := l.Pins(verifytest.Serve(t, handler))
		if err := stale.Update(t.Context(), m, quiet); !errors.Is(err, verify.ErrStale) || errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("got %v, want ErrStale", err)
		}
		if m.Checkpoint().Size != old.Size+1 {
			t.Errorf("the mirror went back to %d entries", m.Checkpoint().Size)
		}
	})
}

func TestDamagedMirrorIsNotTheLogsFault(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	l.Attest(alice, verifytest.Digest(1))
	l.Publish()
	dir, pins := t.TempDir(), l.Pins(l.Serve())
	m := openMirror(t, dir, l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log", "tile", "entries", "000.p", "2"), []byte("\x00\x01x\x00\x01y"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := m.Evidence(t.Context(), pins, "generic", verifytest.Output)
	if err == nil || errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names the mirror", err)
	}
}

// The pinned aggregators are asked in turn until one answers.
func TestSecondAggregator(t *testing.T) {
	l := verifytest.NewLedger(t)
	l.Enrol("alice")
	l.Publish()
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := l.Pins("http://127.0.0.1:1", l.Serve()).Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	if m.Checkpoint() == nil {
		t.Error("nothing was mirrored")
	}
	if err := l.Pins("http://127.0.0.1:1").Update(t.Context(), m, quiet); err == nil || errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("nobody answers: %v", err)
	}
}

// Evidence may be asked for while the mirror grows: each answer is of one whole
// state.
func TestEvidenceDuringUpdate(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	pins := l.Pins(l.Serve())
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	l.Attest(alice, verifytest.Digest(0))
	l.Publish()
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	answers := make(chan int, 1)
	go func() {
		n := 0
		defer func() { answers <- n }()
		for last := uint64(0); ; n++ {
			e, err := m.Evidence(t.Context(), pins, "generic", verifytest.Output)
			if err != nil {
				t.Error(err)
				return
			}
			if e.Size < last || uint64(len(e.Claims)) != e.Size-1 {
				t.Errorf("%d claims in %d entries, after %d", len(e.Claims), e.Size, last)
				return
			}
			last = e.Size
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for i := range 20 {
		l.Attest(alice, verifytest.Digest(byte(i+1)))
		l.Publish()
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Error(err)
		}
	}
	close(done)
	if n := <-answers; n < 20 {
		t.Errorf("only %d answers", n)
	}
}
