package verify_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/signing/signingtest"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

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
	key, other := signingtest.New(t).Public(), signingtest.New(t).Public()
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
