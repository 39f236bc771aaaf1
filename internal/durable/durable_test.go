package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/durable"
)

// list returns the names in a directory.
func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	for _, content := range []string{"a long first content", "second", ""} {
		if err := durable.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != content {
			t.Errorf("content %q, want %q", got, content)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if diff := cmp.Diff([]string{"state"}, list(t, dir)); diff != "" {
		t.Errorf("the directory holds something else (-want +got):\n%s", diff)
	}
}

// TestWriteFileAfterACrash: a process that died while writing leaves a temporary
// file with half of the content. The old content stands, and the next write works.
func TestWriteFileAfterACrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := durable.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := left.WriteString("ne"); err != nil {
		t.Fatal(err)
	}
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("content %q", got)
	}
	if err := durable.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "new" {
		t.Errorf("content %q", got)
	}
}

// TestWriteFileFails: where the file cannot take its place, the old state stays
// and nothing is left over.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "state", "child"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := durable.WriteFile(filepath.Join(dir, "state"), []byte("x"), 0o600)
	if err == nil || !strings.Contains(err.Error(), "writing "+filepath.Join(dir, "state")) {
		t.Errorf("replacing a directory: %v", err)
	}
	if diff := cmp.Diff([]string{"state"}, list(t, dir)); diff != "" {
		t.Errorf("something is left (-want +got):\n%s", diff)
	}
	if err := durable.WriteFile(filepath.Join(dir, "none", "state"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := durable.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is gone may be removed again
		if err := durable.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	if err := durable.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	from, to := filepath.Join(dir, "a", "x"), filepath.Join(dir, "a", "b", "y")
	if err := durable.WriteFile(from, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if got := read(t, to); got != "content" {
		t.Errorf("content %q", got)
	}
	if err := durable.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("renaming what is not there: %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := durable.MkdirAll(deep+"/", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(deep); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	if err := durable.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := durable.MkdirAll(path, 0o700); err == nil || !strings.Contains(err.Error(), "is not a directory") {
			t.Errorf("MkdirAll(%s): %v", path, err)
		}
	}
}

// TestSweep: what a crash left behind is removed, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{".tmp-1", ".tmp-young", "state", ".other"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("a private key"), 0o600); err != nil {
			t.Fatal(err)
		}
		if name != ".tmp-young" {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, ".tmp-dir"), 0o700), os.Symlink("state", filepath.Join(dir, ".tmp-link"))); err != nil {
		t.Fatal(err)
	}
	if err := durable.Sweep(dir, time.Minute); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".other", ".tmp-dir", ".tmp-link", ".tmp-young", "state"}, list(t, dir)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if err := durable.Sweep(dir, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".other", ".tmp-dir", ".tmp-link", "state"}, list(t, dir)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if err := durable.Sweep(filepath.Join(dir, "none"), 0); err != nil {
		t.Error(err)
	}
}
