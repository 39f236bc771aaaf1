// Package guixsigstest has a real repository of Guix attestations for tests: a
// snapshot of the public repository bitcoin-core/guix.sigs on GitHub.
package guixsigstest

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/internal/needtest"
)

const (
	archive   = "bitcoin-core-guix.sigs.tar.gz"
	advice    = "NOT TESTED ON REAL DATA: there is no " + archive + " in the directory that REPRONET_DATA names; it is a snapshot of the public repository bitcoin-core/guix.sigs on GitHub"
	keyFolder = "builder-keys"
)

// Archive is the snapshot's file, in the directory that REPRONET_DATA names or
// beside the repository. It need not be there.
func Archive() string {
	if dir := os.Getenv("REPRONET_DATA"); dir != "" {
		return filepath.Join(dir, archive)
	}
	return filepath.Join(filepath.Dir(needtest.Checkout()), "shared", "data", archive)
}

// Extract unpacks all of the snapshot, or some versions and all keys, without its
// topmost folder. Where there is no snapshot the test is skipped; with CI set it
// fails.
func Extract(tb testing.TB, versions ...string) string {
	tb.Helper()
	f, err := os.Open(Archive())
	switch {
	case errors.Is(err, os.ErrNotExist):
		needtest.Lacking(tb, advice)
	case err != nil:
		tb.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			tb.Fatal(err)
		}
		_, name, _ := strings.Cut(strings.TrimPrefix(header.Name, "./"), "/")
		version, _, _ := strings.Cut(name, "/")
		wanted := len(versions) == 0 || version == keyFolder || slices.Contains(versions, version)
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || !wanted {
			continue
		}
		if err := write(filepath.Join(dir, name), r); err != nil {
			tb.Fatal(err)
		}
	}
}

func write(file string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
