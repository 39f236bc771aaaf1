// Package exectest writes the programs that a test then runs.
package exectest

import (
	"os"
	"syscall"
	"testing"
)

// Write writes a program, which everybody may run, to a path.
//
// No process is begun meanwhile: a child of another test's would have the file open for
// writing until it executes a program of its own, and the kernel refuses to execute a file
// that somebody writes ("text file busy", https://go.dev/issue/22315).
func Write[T string | []byte](t testing.TB, path string, content T) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
