package command

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"repronet.dev/attestation"
)

// Signals reach the command, and how it ends is what is reported.
func TestExecSignal(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	dir := t.TempDir()
	run := exec.CommandContext(t.Context(), binary(t), "exec", "--dir", string(home), "--build", "b", "--output", "a=x", "--",
		"sh", "-c", `trap 'echo trapped; exit 9' TERM; touch ready; while :; do sleep 0.02; done`)
	run.Dir = dir
	var out bytes.Buffer
	run.Stdout = &out
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := run.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); run.ProcessState.ExitCode() != 9 || out.String() != "trapped\n" {
		t.Errorf("%v, printed %q; want status 9 after the trap", err, out.String())
	}
	files, err := filepath.Glob(filepath.Join(string(home), "spool", "queue", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("recorded %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{string(attestation.BuildFailed), "the command exited with status 9"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("record %s, want %q in it", text, want)
		}
	}
}
