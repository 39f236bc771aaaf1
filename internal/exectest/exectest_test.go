package exectest_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"repronet.dev/internal/exectest"
)

// TestWrite: what is written is run at once, while processes begin all the time.
func TestWrite(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	for range 4 {
		go func() {
			for {
				select {
				case <-done:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		}()
	}
	defer close(done)
	for range 100 {
		file := filepath.Join(t.TempDir(), "program")
		exectest.Write(t, file, "#!/bin/sh\nexit 0\n")
		if out, err := exec.CommandContext(t.Context(), file).CombinedOutput(); err != nil {
			t.Fatalf("%s, %v", out, err)
		}
	}
}
