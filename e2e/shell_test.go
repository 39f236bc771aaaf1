package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A shell runs commands as they are printed, in a directory of its own, for a person with
// the three programs in the path and nothing else of ours.
type shell struct {
	dir string   // what the command finds itself in
	env []string // besides PATH, HOME and the like
	// terminal has commands ask a person, who says yes.
	terminal bool
	// nix is a store whose nix/ is at /nix for the command, or "".
	nix string
}

// newShell returns a shell in a fresh directory, which is the home as well.
func newShell(t *testing.T, env ...string) *shell {
	t.Helper()
	return &shell{dir: t.TempDir(), env: env}
}

// A ran is how a command ended.
type ran struct {
	status         int
	stdout, stderr string
}

// said is all that the command printed.
func (r *ran) said() string { return r.stdout + r.stderr }

// shellTimeout bounds a command; shellUntil one that goes on by itself until it is ended.
const (
	shellTimeout = 5 * time.Minute
	shellUntil   = time.Minute
)

// command prepares a command line.
func (s *shell) command(ctx context.Context, line string) *exec.Cmd {
	args := []string{"sh", "-c", line}
	if s.terminal {
		args = []string{"script", "--quiet", "--return", "--command", line, "/dev/null"}
	}
	if s.nix != "" {
		mounted := `mount --bind "$0" /nix && exec "$@"`
		args = append([]string{"unshare", "--mount", "sh", "-euc", mounted, filepath.Join(s.nix, "nix")}, args...)
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Dir = s.dir
	home := []string{
		"HOME=" + s.dir, "TMPDIR=" + s.dir, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "SHELL=/bin/sh",
		"PATH=" + os.Getenv(binEnv) + ":" + os.Getenv("PATH"),
	}
	command.Env = append(append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NIX_") || strings.HasPrefix(v, "REPRONET_") && !strings.HasPrefix(v, engineEnv+"=")
	}), home...), s.env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.WaitDelay = 10 * time.Second
	return command
}

// run runs a command line to its end.
func (s *shell) run(t *testing.T, line string) *ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), shellTimeout)
	defer cancel()
	command := s.command(ctx, line)
	if s.terminal {
		command.Stdin = strings.NewReader(strings.Repeat("y\n", 4))
	}
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatalf("running %q: %v", line, err)
	}
	return &ran{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// runUntil runs a command that goes on until it is ended: it is, as by Ctrl-C, as soon as
// it has said something, and its status is that of the end.
func (s *shell) runUntil(t *testing.T, line, says string) *ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), shellUntil)
	defer cancel()
	command := s.command(ctx, "exec "+line)
	file, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	said := func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for waiting := true; waiting; {
		select {
		case <-ended:
			return &ran{command.ProcessState.ExitCode(), said(), ""}
		case <-time.After(50 * time.Millisecond):
			waiting = !strings.Contains(said(), says)
		}
	}
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	<-ended
	return &ran{command.ProcessState.ExitCode(), said(), ""}
}
