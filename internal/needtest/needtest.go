// Package needtest is for tests that need a real part of the machine: a program, the
// rights of root, a library.
//
//	gpg := needtest.Program(t, "gpg", "gnupg")
//
// Where it is missing, the test is skipped and says so on standard error; where the
// environment variable CI is set, it fails.
package needtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Lacking ends a test that cannot be run for want of something.
func Lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s; with CI set this test may not be skipped", what)
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s: %s\n\n", t.Name(), what)
	t.Skip(what)
}

// Program returns the path of a program, which a Debian package has.
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Lacking(t, fmt.Sprintf("%s is missing: install %s", name, pkg))
	}
	return path
}

// Root ends the test unless it is run by root, who alone can do something.
func Root(t testing.TB, do string) {
	t.Helper()
	if os.Getuid() != 0 {
		Lacking(t, "NOT ROOT: only root can "+do)
	}
}

// Checkout returns the directory of the module's go.mod, above the one in which the test is
// run; the root directory where there is none.
func Checkout() string {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	for above := filepath.Dir(dir); above != dir; dir, above = above, filepath.Dir(above) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	return dir
}
