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

	"repronet.dev/internal/needtest"
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
	// machine is the one that the command runs on, if it is not the test's.
	machine *machine
	// alone gives the command a network without anybody else, where each port is free.
	alone bool
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

// shellTimeout bounds a command.
const shellTimeout = 5 * time.Minute

// A machine is a fresh one, as far as commands as root leave something on it.
type machine struct {
	etc, lib   string // directories at /etc and /var/lib
	aggregator string // the data directory at /var/lib/repronet-aggregator, or "" for none
}

func newMachine(t *testing.T, aggregator string) *machine {
	t.Helper()
	needtest.Root(t, "has a machine of its own")
	m := &machine{filepath.Join(t.TempDir(), "etc"), t.TempDir(), aggregator}
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", "/etc", m.etc).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if aggregator != "" {
		if err := os.Mkdir(filepath.Join(m.lib, "repronet-aggregator"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// mounts are the directories that the command finds elsewhere: each and its place.
func (s *shell) mounts() (pairs []string) {
	if s.nix != "" {
		// Where no Nix was used yet there is nothing to mount on.
		if err := os.MkdirAll("/nix", 0o755); err != nil {
			panic(err)
		}
		pairs = append(pairs, filepath.Join(s.nix, "nix"), "/nix")
	}
	if m := s.machine; m != nil {
		pairs = append(pairs, m.etc, "/etc", m.lib, "/var/lib")
		if m.aggregator != "" {
			pairs = append(pairs, m.aggregator, "/var/lib/repronet-aggregator")
		}
	}
	return pairs
}

// command prepares a command line.
func (s *shell) command(ctx context.Context, line string) *exec.Cmd {
	args := []string{"sh", "-c", line}
	if s.terminal {
		args = []string{"script", "--quiet", "--return", "--command", line, "/dev/null"}
	}
	if s.alone {
		args = append([]string{"unshare", "--net", "sh", "-euc", `ip link set lo up && exec "$@"`, "sh"}, args...)
	}
	if mounts := s.mounts(); len(mounts) > 0 {
		const mount = `while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"`
		args = slices.Concat([]string{"unshare", "--mount", "sh", "-euc", mount, "sh"}, mounts, []string{"--"}, args)
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

// runUntil runs a command that goes on until it is ended: it is, by what Ctrl-C does, as
// soon as it has said something, and its status is that of the end.
func (s *shell) runUntil(t *testing.T, line, says string) *ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), shellTimeout)
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
	if err := syscall.Kill(-command.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	<-ended
	return &ran{command.ProcessState.ExitCode(), said(), ""}
}
