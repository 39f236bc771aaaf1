package chdb

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/internal/needtest"
)

func TestFind(t *testing.T) {
	if err := supported(); err != nil {
		needtest.Lacking(t, err.Error())
	}
	root := t.TempDir()
	library := filepath.Join(root, "engine", "node_modules", "@chdb", npmPackage(), libraryName)
	deep := filepath.Join(root, "a", "b")
	for _, dir := range []string{filepath.Dir(library), deep} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(deep)
	t.Setenv(libraryEnv, "")
	if _, err := Find(); !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "make engine") {
		t.Errorf("without a library: got %v, want ErrNoLibrary with what to run", err)
	}
	if err := os.WriteFile(library, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"", library, filepath.Dir(library), filepath.Join(root, "engine"), root} {
		t.Setenv(libraryEnv, set)
		if got, err := Find(); err != nil || got != library {
			t.Errorf("with $%s=%q: got %q, %v", libraryEnv, set, got, err)
		}
	}
	t.Setenv(libraryEnv, deep)
	if _, err := Find(); !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), libraryEnv) {
		t.Errorf("with $%s at the wrong place: got %v", libraryEnv, err)
	}
}

func TestElfInterpreter(t *testing.T) {
	if got := string(elfInterpreter("/proc/self/exe")); supported() == nil && !strings.Contains(got, "ld-") {
		t.Errorf("this test's loader is %q", got)
	}
	if got := elfInterpreter("library_test.go"); got != nil {
		t.Errorf("a text file's loader is %q", got)
	}
}
