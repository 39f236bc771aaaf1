package guixsigs

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/evidence"
	"repronet.dev/evidence/openpgp"
)

// write makes a file in a tree.
func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func openTree(t testing.TB, dir string) *Tree {
	t.Helper()
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	return tree
}

// collect returns the paths of what a tree yields and of what it passes over.
func collect(t *testing.T, tree *Tree) (found, passed []string) {
	t.Helper()
	note := func(path string, err error) {
		if err == nil {
			found = append(found, path)
			return
		}
		e, ok := errors.AsType[*PathError](err)
		if !ok {
			t.Fatalf("error without a path: %v", err)
		}
		if strings.Contains(err.Error(), tree.root.Name()) {
			t.Errorf("the error names the machine's directory: %v", err)
		}
		passed = append(passed, e.Path)
	}
	for k, err := range tree.Keys() {
		if err != nil {
			note("", err)
		} else {
			note(k.Path, nil)
		}
	}
	for f, err := range tree.Documents() {
		if err != nil {
			note("", err)
		} else {
			note(f.Path, nil)
		}
	}
	return found, passed
}

// TestTolerance: whatever a tree holds, what is in order is found, and what is
// not is told.
func TestTolerance(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, dir, "README.md", nil)
	write(t, dir, ".git/x/all.SHA256SUMS", nil)
	write(t, dir, "1.0/alice/all.SHA256SUMS", []byte("x"))
	write(t, dir, "1.0/alice/all.SHA256SUMS.asc", []byte("x"))
	write(t, dir, "1.0/alice/notes.txt", nil)
	write(t, dir, "1.0/file", nil)
	write(t, dir, "1.0/bob/noncodesigned.SHA256SUMS", []byte("x"))
	write(t, dir, "1.0/carol/all.SHA256SUMS.asc", []byte("x"))
	write(t, dir, "2.0/huge/all.SHA256SUMS", make([]byte, openpgp.MaxSignedTextSize+1))
	write(t, dir, "2.0/huge/all.SHA256SUMS.asc", []byte("x"))
	write(t, dir, "2.0/huge/codesigned.SHA256SUMS", []byte("x"))
	write(t, dir, "2.0/huge/codesigned.SHA256SUMS.asc", make([]byte, openpgp.MaxSignedSignatureSize+1))
	write(t, dir, "2.0/folder/all.SHA256SUMS/x", nil)
	write(t, dir, "builder-keys/alice.gpg", []byte("no key"))
	write(t, dir, "builder-keys/README", nil)
	write(t, outside, "secret", []byte("secret"))
	write(t, outside, "eve/all.SHA256SUMS", []byte("secret"))
	write(t, outside, "eve/all.SHA256SUMS.asc", []byte("secret"))
	for link, target := range map[string]string{
		"3.0":                           outside,
		"1.0/eve":                       filepath.Join(outside, "eve"),
		"2.0/link/all.SHA256SUMS":       filepath.Join(outside, "secret"),
		"2.0/up/all.SHA256SUMS":         "../../../" + filepath.Base(outside) + "/secret",
		"2.0/inside/all.SHA256SUMS":     "../../1.0/alice/all.SHA256SUMS",
		"2.0/loop/all.SHA256SUMS":       "all.SHA256SUMS",
		"builder-keys/link.gpg":         filepath.Join(outside, "secret"),
		"2.0/inside/all.SHA256SUMS.asc": "../../1.0/alice/all.SHA256SUMS.asc",
	} {
		file := filepath.Join(dir, filepath.FromSlash(link))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "2.0/pipe"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "2.0/pipe/all.SHA256SUMS"), 0o600); err != nil {
		t.Fatal(err)
	}

	found, passed := collect(t, openTree(t, dir))
	if diff := cmp.Diff([]string{"1.0/alice/all.SHA256SUMS", "2.0/inside/all.SHA256SUMS"}, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"builder-keys/alice.gpg", "builder-keys/link.gpg", "1.0/bob/noncodesigned.SHA256SUMS", "1.0/carol/all.SHA256SUMS.asc",
		"2.0/huge/all.SHA256SUMS", "2.0/huge/codesigned.SHA256SUMS", "2.0/link/all.SHA256SUMS", "2.0/loop/all.SHA256SUMS",
		"2.0/pipe/all.SHA256SUMS", "2.0/up/all.SHA256SUMS",
	}, passed); diff != "" {
		t.Errorf("passed over (-want +got):\n%s", diff)
	}
}

func TestEmptyTree(t *testing.T) {
	if found, passed := collect(t, openTree(t, t.TempDir())); len(found)+len(passed) > 0 {
		t.Errorf("found %v, passed over %v", found, passed)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a directory that is not there was opened")
	}
}

// TestFiledUnderAnotherRelease: the name as signed decides what a document is
// about, and the key who signed it; the folders that it lies in do not.
func TestFiledUnderAnotherRelease(t *testing.T) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	config := &packet.Config{Time: func() time.Time { return at }, Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA256}
	alice, err := pgp.NewEntity("alice", "", "", config)
	if err != nil {
		t.Fatal(err)
	}
	var key, signature bytes.Buffer
	if err := alice.Serialize(&key); err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("ab", 32) + "  demo-1.0.tar.gz\n")
	if err := pgp.ArmoredDetachSign(&signature, []*pgp.Entity{alice}, bytes.NewReader(text), &pgp.SignParams{Config: config}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "builder-keys/alice.gpg", key.Bytes())
	write(t, dir, "2.0/bob/all.SHA256SUMS", text)
	write(t, dir, "2.0/bob/all.SHA256SUMS.asc", signature.Bytes())
	tree := openTree(t, dir)
	ring := readKeys(t, tree)
	for f, err := range tree.Documents() {
		if err != nil {
			t.Fatal(err)
		}
		v, err := openpgp.OpenDocument(f.Document(project), ring.Lookup, at.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if s := v.Signatures()[0]; s.State != evidence.Valid || s.Builder != ring.Certificates()[0].Builder() {
			t.Errorf("signature %+v", s)
		}
		if claims := v.Sums().Claims; len(claims) != 1 || claims[0].Output != project+"/demo-1.0.tar.gz" {
			t.Errorf("claims %v", claims)
		}
	}
}
