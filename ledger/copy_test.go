package ledger

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// copyLog brings dir from its present size to that of the log.
func copyLog(ctx context.Context, t *testing.T, dir string, fetch Fetcher, key note.Verifier, from uint64) error {
	t.Helper()
	reader := NewReader(fetch, key)
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Tree(checkpoint).CopyTo(ctx, dir, from, func(uint64) {}); err != nil {
		return err
	}
	return RemovePartials(dir, from, checkpoint.Size)
}

func TestCopyTo(t *testing.T) {
	signer, verifier := testKey(t)
	dir := t.TempDir()
	from := 0
	for _, size := range []int{0, 1, 2, 255, 256, 258, 258, 511, 700, 1024} {
		if size > 0 {
			fetch := inMemory(makeLog(t, signer, bodies(size, "entry"), size))
			if err := copyLog(t.Context(), t, dir, fetch, verifier, uint64(from)); err != nil {
				t.Fatal(err)
			}
			got, err := readAll(t.Context(), Dir(dir), verifier)
			if diff := cmp.Diff(bodies(size, "entry"), got); err != nil || diff != "" {
				t.Fatalf("copy of %d entries: %v (-want +got):\n%s", size, err, diff)
			}
		}
		from = size
	}
	want := makeLog(t, signer, bodies(1024, "entry"), 1024)
	got := map[string][]byte{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		got[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the copy that grew has other files than the log (-want +got):\n%s", diff)
	}
}

func TestCopyGoesOn(t *testing.T) {
	signer, verifier := testKey(t)
	good := inMemory(makeLog(t, signer, bodies(2000, "entry"), 2000))
	dir := t.TempDir()
	var bundles atomic.Int64
	breaking := func(ctx context.Context, path string) (io.ReadCloser, error) {
		if strings.HasPrefix(path, "tile/entries") && bundles.Add(1) > 4 {
			return nil, errors.New("the network is gone")
		}
		return good(ctx, path)
	}
	if err := copyLog(t.Context(), t, dir, breaking, verifier, 0); err == nil {
		t.Fatal("the copy was not broken off")
	}
	if _, err := os.Stat(filepath.Join(dir, "checkpoint")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a copy has a checkpoint: %v", err)
	}
	// What the first attempt left is used, and what is wrong in it is not.
	kept, err := filepath.Glob(filepath.Join(dir, "tile", "entries", "00*"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("nothing was kept: %v", err)
	}
	if err := os.WriteFile(kept[0], []byte("\x00\x03bad"), 0o600); err != nil {
		t.Fatal(err)
	}
	bundles.Store(0)
	counting := func(ctx context.Context, path string) (io.ReadCloser, error) {
		if strings.HasPrefix(path, "tile/entries") {
			bundles.Add(1)
		}
		return good(ctx, path)
	}
	if err := copyLog(t.Context(), t, dir, counting, verifier, 0); err != nil {
		t.Fatal(err)
	}
	if n, want := bundles.Load(), int64(8-len(kept)+1); n != want {
		t.Errorf("%d bundles were fetched, want %d", n, want)
	}
	if got, err := readAll(t.Context(), Dir(dir), verifier); err != nil || len(got) != 2000 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func TestCopyRefusesBadLog(t *testing.T) {
	signer, verifier := testKey(t)
	files := makeLog(t, signer, bodies(600, "entry"), 600)
	files["tile/entries/001"] = files["tile/entries/000"]
	dir := t.TempDir()
	if err := copyLog(t.Context(), t, dir, inMemory(files), verifier, 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tile", "entries", "001")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the bad bundle was written: %v", err)
	}
}
