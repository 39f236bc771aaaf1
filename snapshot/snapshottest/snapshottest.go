// Package snapshottest reads snapshots in tests, and forges them.
package snapshottest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/snapshot"
)

// List returns the files below a directory, in the order of their names.
func List(tb testing.TB, dir string) (paths []string) {
	tb.Helper()
	if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return paths
}

// Rows reads all rows of a view.
func Rows[Row any](tb testing.TB, dir, view string) (all []Row) {
	tb.Helper()
	for _, path := range List(tb, dir) {
		if path == view+".parquet" || strings.HasPrefix(path, view+"/") {
			some, err := parquet.ReadFile[Row](filepath.Join(dir, path))
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, some...)
		}
	}
	return all
}

// Change writes a file of Parquet again, with other rows. Another snapshot that has the
// file too keeps it as it was.
func Change[Row, Changed any](tb testing.TB, path string, change func([]Row) []Changed) {
	tb.Helper()
	rows, err := parquet.ReadFile[Row](path)
	if err == nil {
		err = errors.Join(os.Remove(path), parquet.WriteFile(path, change(rows)))
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// A Key is a ledger's, to sign with and to check.
type Key interface {
	note.Signer
	Verifier() note.Verifier
}

// Sign lists the files of a snapshot anew, and has the ledger's key sign that.
func Sign(tb testing.TB, dir string, key Key) {
	tb.Helper()
	var sums strings.Builder
	for _, path := range List(tb, dir) {
		if slices.Contains([]string{snapshot.SumsFile, snapshot.SignatureFile, snapshot.CheckpointFile}, path) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", sumOf(data), path)
	}
	text, err := os.ReadFile(filepath.Join(dir, snapshot.SignatureFile))
	if err != nil {
		tb.Fatal(err)
	}
	old, err := note.Open(text, note.VerifierList(key.Verifier()))
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Split(old.Text, "\n")
	lines[4] = sumOf([]byte(sums.String()))
	signed, err := note.Sign(&note.Note{Text: strings.Join(lines, "\n")}, key)
	if err == nil {
		err = errors.Join(
			os.WriteFile(filepath.Join(dir, snapshot.SumsFile), []byte(sums.String()), 0o600),
			os.WriteFile(filepath.Join(dir, snapshot.SignatureFile), signed, 0o600),
		)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
