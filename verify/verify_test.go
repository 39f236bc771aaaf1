package verify_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet/attestation"
	"repronet/divergence"
	"repronet/ledger"
	"repronet/signing"
	"repronet/verify"
	"repronet/verify/verifytest"
)

func quiet(string, uint64, uint64) {}

func openMirror(t *testing.T, dir string, l *verifytest.Ledger) *verify.Mirror {
	t.Helper()
	m, err := verify.OpenMirror(t.Context(), dir, l.Key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// evidenceOf publishes the ledger, mirrors it anew and returns the evidence on
// its output.
func evidenceOf(t *testing.T, l *verifytest.Ledger, pins *verify.Pins) (*verify.Evidence, error) {
	t.Helper()
	l.Publish()
	pins.Aggregators = []string{l.Serve()}
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	return m.Evidence(t.Context(), pins, "generic", verifytest.Output)
}

func closeMirror(t *testing.T, m *verify.Mirror) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestEvidence(t *testing.T) {
	one, two := verifytest.Digest(1), verifytest.Digest(2)
	type builders struct{ alice, alice2, bob, carol *signing.Signer }
	tests := map[string]struct {
		happens   func(l *verifytest.Ledger, b builders)
		pins      func(p *verify.Pins, b builders)
		verdict   divergence.Verdict
		operators int
		standings []verify.Standing
		unpinned  int
	}{
		"nothing": {happens: func(*verifytest.Ledger, builders) {}},
		"one operator": {
			happens:   func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one) },
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts},
		},
		"two keys of one operator": {
			happens:   func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.alice2, one) },
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"two operators": {
			happens:   func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.bob, one) },
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"dissent": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				l.Attest(b.carol, two)
			},
			verdict:   divergence.Diverged,
			operators: 3, standings: []verify.Standing{verify.Counts, verify.Counts, verify.Counts},
		},
		"dissent withdrawn": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, two)
				l.Attest(b.bob, one)
				l.Withdraw(b.bob, two)
			},
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Withdrawn, verify.Counts},
		},
		"another's withdrawal": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, two)
				l.Withdraw(b.alice, two)
			},
			verdict:   divergence.Diverged,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"revoked from a claim on": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				from := l.Attest(b.bob, two)
				l.Revoke(b.bob.Public().Builder(), from)
			},
			verdict:   divergence.Reproduced,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts, verify.Revoked},
		},
		"revoked from the beginning": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				l.Revoke(b.bob.Public().Builder(), 0)
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.Revoked},
		},
		"withdrawal by a revoked key": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, two)
				from := l.Withdraw(b.bob, two)
				l.Revoke(b.bob.Public().Builder(), from)
			},
			verdict:   divergence.Diverged,
			operators: 2, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"nobody pinned": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.Attest(b.alice, one)
				l.Attest(b.bob, one)
				l.Attest(b.bob, two)
			},
			pins:     func(p *verify.Pins, _ builders) { p.Builders = nil },
			unpinned: 2,
		},
		"pinned under another operator": {
			happens: func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.bob, one) },
			pins: func(p *verify.Pins, b builders) {
				p.Pin(verify.NewBuilder(b.bob.Public(), "alice"))
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.Counts},
		},
		"pin expired": {
			happens: func(l *verifytest.Ledger, b builders) { l.Attest(b.alice, one); l.Attest(b.bob, two) },
			pins: func(p *verify.Pins, b builders) {
				expired := verify.NewBuilder(b.bob.Public(), "bob")
				expired.NotAfter = time.Now().Add(-time.Hour)
				p.Pin(expired)
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts, verify.NotValid},
		},
		"other outputs and kinds": {
			happens: func(l *verifytest.Ledger, b builders) {
				l.AttestOutput(b.alice, "generic", "alice/other", "alice/other^bin", attestation.File, two)
				l.AttestOutput(b.alice, "debian", verifytest.Build, verifytest.Output, attestation.File, two)
				l.Append(ledger.Attestation, []byte("{not a bundle"))
				l.Append("of-the-future", []byte("?"))
				l.Attest(b.alice, one)
			},
			verdict:   divergence.Single,
			operators: 1, standings: []verify.Standing{verify.Counts},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := verifytest.NewLedger(t)
			b := builders{l.Enrol("alice"), l.Enrol("alice"), l.Enrol("bob"), l.Enrol("carol")}
			test.happens(l, b)
			pins := l.Pins()
			if test.pins != nil {
				test.pins(pins, b)
			}
			e, err := evidenceOf(t, l, pins)
			if err != nil {
				t.Fatal(err)
			}
			if e.Judgement.Verdict != test.verdict || e.Judgement.Operators != test.operators || len(e.Unpinned) != test.unpinned {
				t.Errorf("verdict %v of %d operators, %d unpinned; want %v of %d, %d",
					e.Judgement.Verdict, e.Judgement.Operators, len(e.Unpinned), test.verdict, test.operators, test.unpinned)
			}
			var standings []verify.Standing
			for _, c := range e.Claims {
				standings = append(standings, c.Standing)
			}
			if diff := cmp.Diff(test.standings, standings); diff != "" {
				t.Errorf("standings (-want +got):\n%s", diff)
			}
		})
	}
}

// A ledger that holds a statement in a pinned builder's name which that builder
// did not sign is refused as a whole.
func TestForgedEvidence(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	l.Attest(alice, verifytest.Digest(1))
	real := verifytest.Sign(t, bob, &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: verifytest.Output, Digest: verifytest.Digest(7)}},
	})
	forged := strings.Replace(string(real), bob.Public().Hint(), alice.Public().Hint(), 1)
	if forged == string(real) {
		t.Fatal("the bundle does not contain the hint as expected")
	}
	l.Append(ledger.Attestation, []byte(forged))
	if _, err := evidenceOf(t, l, l.Pins()); !errors.Is(err, verify.ErrForged) {
		t.Errorf("got %v, want ErrForged", err)
	}
}

func TestDecide(t *testing.T) {
	one, two := verifytest.Digest(1), verifytest.Digest(2)
	l := verifytest.NewLedger(t)
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	l.Attest(alice, one)
	l.Attest(bob, one)
	e, err := evidenceOf(t, l, l.Pins())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		quorum int
		digest attestation.Digest
		want   verify.Decision
	}{
		{1, attestation.Digest{}, verify.Accepted},
		{2, attestation.Digest{}, verify.Accepted},
		{3, attestation.Digest{}, verify.Insufficient},
		{2, one, verify.Accepted},
		{2, two, verify.Mismatch},
		{3, two, verify.Insufficient},
	} {
		if got := e.Decide(test.quorum, test.digest); got != test.want {
			t.Errorf("quorum %d, digest %s: %s, want %s", test.quorum, test.digest, got, test.want)
		}
	}
	l.Attest(bob, two)
	if e, err = evidenceOf(t, l, l.Pins()); err != nil {
		t.Fatal(err)
	}
	if got := e.Decide(2, one); got != verify.Diverged {
		t.Errorf("bob contradicts himself: %s, want %s", got, verify.Diverged)
	}
}

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
	for _, pattern := range []string{"[0-9a-f][0-9a-f]", "roster"} {
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
		l.Append("filler", []byte("newer"))
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

func TestHashPath(t *testing.T) {
	dir := t.TempDir()
	file, tree, link := filepath.Join(dir, "file"), filepath.Join(dir, "tree"), filepath.Join(dir, "result")
	if err := os.WriteFile(file, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "run"), []byte("#!"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tree, link); err != nil {
		t.Fatal(err)
	}
	nar := func(words ...string) attestation.Digest { // as the Nix manual defines it
		hash := sha256.New()
		for _, w := range words {
			hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(w))))
			hash.Write([]byte(w))
			hash.Write(make([]byte, (8-len(w)%8)%8))
		}
		return attestation.Digest(hash.Sum(nil))
	}
	treeNAR := nar("nix-archive-1", "(", "type", "directory", "entry", "(", "name", "run", "node",
		"(", "type", "regular", "executable", "", "contents", "#!", ")", ")", ")")
	for _, test := range []struct {
		path string
		kind attestation.DigestKind
		want attestation.Digest
	}{
		{file, attestation.File, sha256.Sum256([]byte("hello\n"))},
		{file, attestation.NAR, nar("nix-archive-1", "(", "type", "regular", "contents", "hello\n", ")")},
		{tree, attestation.NAR, treeNAR},
		{link, attestation.NAR, treeNAR},
	} {
		if got, err := verify.HashPath(test.path, test.kind); err != nil || got != test.want {
			t.Errorf("%s of %s: %s, %v; want %s", test.kind, test.path, got, err, test.want)
		}
	}
	for path, kind := range map[string]attestation.DigestKind{tree: attestation.File, filepath.Join(dir, "none"): attestation.NAR, file: "other"} {
		if got, err := verify.HashPath(path, kind); err == nil {
			t.Errorf("%s of %s: %s, want an error", kind, path, got)
		}
	}
}

func TestPins(t *testing.T) {
	key, other := verifytest.NewSigner(t).Public(), verifytest.NewSigner(t).Public()
	l := verifytest.NewLedger(t)
	path := filepath.Join(t.TempDir(), "sub", "verify.json")
	pins, err := verify.LoadOrNewPins(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := pins.PinLogKey(l.Key.String()); err != nil {
		t.Fatal(err)
	}
	pins.PinAggregator("https://repro.example.org")
	pins.PinAggregator("https://repro.example.org")
	pins.Pin(verify.NewBuilder(key, "zoe"))
	pins.Pin(verify.NewBuilder(other, "bob"))
	pins.Pin(verify.NewBuilder(key, "alice"))
	if err := pins.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := verify.LoadPins(path)
	if diff := cmp.Diff(pins, got); err != nil || diff != "" {
		t.Errorf("%v (-saved +loaded):\n%s", err, diff)
	}
	if len(got.Builders) != 2 || got.Builders[0].Operator != "alice" || len(got.Aggregators) != 1 {
		t.Errorf("pins %+v", got)
	}
	if err := pins.PinLogKey(verifytest.NewLedger(t).Key.String()); !errors.Is(err, verify.ErrLogKey) {
		t.Errorf("another log key: %v, want ErrLogKey", err)
	}
	for name, text := range map[string]string{
		"unknown member": `{"logKey":"","bilders":[]}`,
		"bad log key":    `{"logKey":"x"}`,
		"bad builder":    `{"builders":[{"id":"x","publicKey":"AAAA","operator":"a"}]}`,
		"another's key":  fmt.Sprintf(`{"builders":[{"id":%q,"publicKey":%q,"operator":"a"}]}`, other.Builder(), "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
		"not JSON":       `logKey: x`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.LoadPins(path); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}
