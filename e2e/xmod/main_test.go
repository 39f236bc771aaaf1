package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"repronet/ledger"
	"repronet/verify/verifytest"
)

// TestReceipts builds the program and shows it receipts of a real ledger, good
// ones and others.
func TestReceipts(t *testing.T) {
	program := filepath.Join(t.TempDir(), "xmod")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
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

// The point of the program is what it does not need.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if !strings.HasPrefix(path, "golang.org/x/mod/") && path != "repronet/e2e/xmod" {
			t.Errorf("the program needs %s", path)
		}
	}
}
