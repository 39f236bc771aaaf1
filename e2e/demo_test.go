package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/internal/needtest"
)

// TestDemo starts what `make run` starts, in both forms, interrupts it, and
// starts it again on its data.
func TestDemo(t *testing.T) {
	t.Parallel()
	chdbtest.Library(t)
	program := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "repronet.dev/e2e/demo").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for _, with := range []string{"go", "nix"} {
		t.Run(with, func(t *testing.T) {
			t.Parallel()
			if with == "nix" && !network.HasNix() {
				needtest.Lacking(t, "NO NIX: install nix-bin and busybox-static, and be root")
			}
			d := demo{program: program, with: with, dir: t.TempDir()}

			// Interrupted at work, it ends, and what is missing is done later.
			run := d.start(t)
			run.wait(t, "the dashboard is at ")
			run.interrupt(t)

			run = d.start(t)
			base := run.wait(t, "the dashboard is at ")
			run.wait(t, "all reported")
			first := indexed(t, base)
			if first.Operators != 3 || first.Reproduced == 0 || first.Diverged == 0 {
				t.Errorf("the summary is %+v, want 3 operators and something reproduced and diverged", *first)
			}
			run.interrupt(t)

			run = d.start(t)
			base = run.wait(t, "the dashboard is at ")
			run.wait(t, "all reported")
			if second := indexed(t, base); *second != *first {
				t.Errorf("the second start makes of %+v\n%+v", *first, *second)
			}
			run.interrupt(t)
		})
	}
}

// TestFreshClone does in a copy of the source what the documents begin with: it builds,
// and runs the demonstration until all is reported, where nobody else has its port.
func TestFreshClone(t *testing.T) {
	t.Parallel()
	needtest.Root(t, "has a network of its own")
	needtest.Program(t, "make", "make")
	needtest.Program(t, "ip", "iproute2")
	s := newClone(t)
	for _, line := range commandsFor(t) {
		if line != "make run" {
			if r := s.run(t, line); r.status != 0 {
				t.Fatalf("%s: %s", line, r.said())
			}
			continue
		}
		s.alone = true
		said := s.runUntil(t, line, "all reported").said()
		if !strings.Contains(said, "the dashboard is at http://127.0.0.1:8080") || !strings.Contains(said, "all reported") {
			t.Errorf("%s: %s", line, said)
		}
	}
}

// newClone returns a shell in a copy of the source, for a person with Go. What was
// downloaded for the source is there for the copy, too.
func newClone(t *testing.T) *shell {
	t.Helper()
	s := newShell(t, "TMPDIR="+t.TempDir()) // where go reads no module, so not the copy
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		s.env = append(s.env, name+"="+strings.TrimSpace(string(out)))
	}
	s.dir = copySource(t)
	engine, err := filepath.Abs("../engine/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(engine); err == nil { // otherwise it is fetched
		if err := os.Symlink(engine, filepath.Join(s.dir, "engine", "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

type demo struct{ program, with, dir string }

// A demoRun is a demonstration that goes on until it is interrupted.
type demoRun struct {
	process *exec.Cmd
	lines   chan string
	said    []string
}

// demoTimeout bounds the time until everything is built and reported, and until
// an interrupted demonstration has ended.
const demoTimeout = 3 * time.Minute

func (d demo) start(t *testing.T) *demoRun {
	t.Helper()
	command := exec.CommandContext(t.Context(), d.program, "--with", d.with, "--dir", d.dir, "--listen", "127.0.0.1:0", "--bin", string(programs()), "--set", "nixset")
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	run := &demoRun{process: command, lines: make(chan string, 1000)}
	go func() {
		defer close(run.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			run.lines <- scanner.Text()
		}
	}()
	return run
}

// wait waits for a line and returns what follows a text in it.
func (r *demoRun) wait(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(demoTimeout)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				t.Fatalf("the demonstration ended (%v) after it said\n%s", r.process.Wait(), strings.Join(r.said, "\n"))
			}
			r.said = append(r.said, line)
			if _, rest, found := strings.Cut(line, text); found {
				return rest
			}
		case <-timeout:
			t.Fatalf("the demonstration does not say %q:\n%s", text, strings.Join(r.said, "\n"))
		}
	}
}

// interrupt does what Ctrl-C does.
func (r *demoRun) interrupt(t *testing.T) {
	t.Helper()
	if err := r.process.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(demoTimeout, func() { r.process.Process.Kill() })
	defer timeout.Stop()
	for line := range r.lines {
		r.said = append(r.said, line)
	}
	if err := r.process.Wait(); err != nil {
		t.Fatalf("the demonstration ended with %v after it said\n%s", err, strings.Join(r.said, "\n"))
	}
}
