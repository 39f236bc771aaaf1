package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
	"repronet.dev/verify/verifytest"
)

// TestReceipts builds the program and shows it receipts of a real ledger, good
// ones and others.
func TestReceipts(t *testing.T) {
	program := build(t)
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	l.Fill(300, "something else")
	index := l.Attest(alice, verifytest.Digest(1))
	l.Fill(30, "something else")
	l.Publish()
	stranger := verifytest.NewLedger(t).Key.String()

	for name, test := range map[string]struct {
		key    string
		change func(r *ledger.Receipt)
		ok     bool
	}{
		"good":            {l.Key.String(), func(*ledger.Receipt) {}, true},
		"another key":     {stranger, func(*ledger.Receipt) {}, false},
		"another entry":   {l.Key.String(), func(r *ledger.Receipt) { r.Entry[20] ^= 1 }, false},
		"another index":   {l.Key.String(), func(r *ledger.Receipt) { r.Index-- }, false},
		"shorter proof":   {l.Key.String(), func(r *ledger.Receipt) { r.Proof = r.Proof[1:] }, false},
		"other tree size": {l.Key.String(), func(r *ledger.Receipt) { r.Checkpoint = strings.Replace(r.Checkpoint, "\n33", "\n34", 1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			receipt := *l.Receipt(index)
			receipt.Entry = append([]byte(nil), receipt.Entry...)
			test.change(&receipt)
			text, err := json.Marshal(receipt)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "receipt.json")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), program, test.key, path).CombinedOutput()
			if (err == nil) != test.ok {
				t.Errorf("accepted: %t, want %t\n%s", err == nil, test.ok, out)
			}
		})
	}
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "xmod")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return program
}

// TestConvictions shows the program what convicts a log of two histories, and what does
// not.
func TestConvictions(t *testing.T) {
	program := build(t)
	l := verifytest.NewLedger(t)
	twin := l.Twin()
	l.Fill(30, "one history")
	twin.Fill(30, "another")
	old := l.Publish()
	same := twin.Publish()
	twin.Fill(300, "another")
	grown := twin.Publish()
	l.Fill(300, "one history")
	honest := l.Publish()
	consistency := func(l *verifytest.Ledger, size uint64) ([]tlog.Hash, tlog.Hash) {
		tree := ledger.NewReader(ledger.Dir(l.Dir), l.Key.Verifier()).Local(size)
		proof, err := tree.ProveConsistency(t.Context(), old.Size)
		if err != nil {
			t.Fatal(err)
		}
		root, err := tree.Root(t.Context(), old.Size)
		if err != nil {
			t.Fatal(err)
		}
		return proof, root
	}
	fork := func(next *ledger.Checkpoint, proof []tlog.Hash, root tlog.Hash) ledger.Conviction {
		return ledger.Conviction{Fork: &ledger.Fork{Old: string(old.Text), New: string(next.Text), Root: root, Proof: proof}}
	}
	proof, root := consistency(twin, grown.Size)
	own, before := consistency(l, honest.Size)
	entries := func(a, b *ledger.Receipt) ledger.Conviction {
		return ledger.Conviction{Entries: &[2]ledger.Inclusion{*a.Inclusion(), *b.Inclusion()}}
	}
	for name, test := range map[string]struct {
		key string
		of  ledger.Conviction
		ok  bool
	}{
		"two trees of one size":          {l.Key.String(), fork(same, nil, same.Root), true},
		"a greater tree":                 {l.Key.String(), fork(grown, proof, root), true},
		"two entries for one place":      {l.Key.String(), entries(l.Receipt(3), twin.Receipt(3)), true},
		"one checkpoint twice":           {l.Key.String(), fork(old, nil, old.Root), false},
		"a tree that continues":          {l.Key.String(), fork(honest, own, before), false},
		"another root":                   {l.Key.String(), fork(grown, proof, before), false},
		"without the proof":              {l.Key.String(), fork(grown, nil, root), false},
		"another key":                    {verifytest.NewLedger(t).Key.String(), fork(same, nil, same.Root), false},
		"two places":                     {l.Key.String(), entries(l.Receipt(3), twin.Receipt(4)), false},
		"one entry for one place, twice": {l.Key.String(), entries(l.Receipt(3), l.Receipt(3)), false},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(test.of)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "conviction.json")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), program, test.key, path).CombinedOutput()
			if (err == nil) != test.ok {
				t.Errorf("accepted: %t, want %t\n%s", err == nil, test.ok, out)
			}
			verifier, err := note.NewVerifier(test.key)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.of.Verify(verifier); (err == nil) != test.ok {
				t.Errorf("package ledger says otherwise: %v", err)
			}
		})
	}
}

// The point of the program is what it does not need.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if !strings.HasPrefix(path, "golang.org/x/mod/") && path != "repronet.dev/e2e/xmod" {
			t.Errorf("the program needs %s", path)
		}
	}
}
