// Package network runs whole networks out of the real programs: an aggregator,
// reporters, and builds. The scenarios in e2e and the demonstration of `make run`
// are written with it.
package network

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
)

// Programs is the directory that has the three programs.
type Programs string

// Aggregator is the path of repronet-aggregator.
func (p Programs) Aggregator() string { return filepath.Join(string(p), "repronet-aggregator") }

// Reporter is the path of repronet-reporter.
func (p Programs) Reporter() string { return filepath.Join(string(p), "repronet-reporter") }

// Verify is the path of repronet-verify.
func (p Programs) Verify() string { return filepath.Join(string(p), "repronet-verify") }

// An Aggregator is a running repronet-aggregator serve.
type Aggregator struct {
	Programs  Programs
	Data      string
	URL       string   // of its HTTP listener
	Addresses []string // the others: multiaddrs
	process   *exec.Cmd
	ended     chan struct{}
	err       error // valid after ended
}

// Origin is the name of the ledgers that [StartAggregator] founds.
const Origin = "localhost/repronet"

// startTimeout bounds the time until a server answers, with a ledger to read.
const startTimeout = 2 * time.Minute

// StartAggregator starts a server on a data directory and waits until it
// answers. Its messages go to log.
func StartAggregator(ctx context.Context, p Programs, data string, log io.Writer, args ...string) (*Aggregator, error) {
	a := &Aggregator{Programs: p, Data: data, ended: make(chan struct{})}
	serve := []string{"serve", "--data", data}
	if _, err := os.Stat(filepath.Join(data, "log.key")); errors.Is(err, fs.ErrNotExist) {
		serve = append(serve, "--origin", Origin)
	}
	a.process = exec.CommandContext(ctx, p.Aggregator(), append(serve, args...)...)
	a.process.Stderr = log
	a.process.Cancel = func() error { return a.process.Process.Signal(syscall.SIGTERM) }
	a.process.WaitDelay = time.Minute
	ownGroup(a.process)
	stdout, err := a.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := a.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the aggregator: %w", err)
	}
	lines := make(chan string, 16)
	go func() {
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		close(lines)
		a.err = a.process.Wait()
		close(a.ended)
	}()
	select {
	case line, ok := <-lines:
		if !ok {
			<-a.ended
			return nil, fmt.Errorf("the aggregator ended at once: %w", a.err)
		}
		a.URL = line
	case <-time.After(startTimeout):
		return nil, errors.Join(errors.New("the aggregator does not answer"), a.Kill())
	}
	// All addresses are printed at once, after the first.
	for {
		select {
		case line, ok := <-lines:
			if ok {
				a.Addresses = append(a.Addresses, line)
				continue
			}
		case <-time.After(50 * time.Millisecond):
		}
		return a, nil
	}
}

// ownGroup keeps a terminal's Ctrl-C from reaching the program: it is stopped in
// order, by us. If we are killed, so is it.
func ownGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Stop ends the server in order and returns what it ended with.
func (a *Aggregator) Stop() error {
	if err := a.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-a.ended
	return a.err
}

// Kill ends the server as a power cut would: SIGKILL.
func (a *Aggregator) Kill() error {
	if err := a.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-a.ended
	return nil
}

// PID is the server's process.
func (a *Aggregator) PID() int { return a.process.Process.Pid }

// Ended is closed when the server has ended.
func (a *Aggregator) Ended() <-chan struct{} { return a.ended }

// Command runs an administrative command and returns its standard output.
func (a *Aggregator) Command(ctx context.Context, words string, args ...string) (string, error) {
	args = append(append(strings.Fields(words), "--data", a.Data), args...)
	return output(exec.CommandContext(ctx, a.Programs.Aggregator(), args...))
}

// output runs a command; its error holds what it said.
func output(command *exec.Cmd) (string, error) {
	var stderr strings.Builder
	if command.Stderr == nil {
		command.Stderr = &stderr
	}
	text, err := command.Output()
	if err != nil {
		return string(text), fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, stderr.String())
	}
	return string(text), nil
}

// A Reporter is an installation of repronet-reporter.
type Reporter struct {
	Programs Programs
	Dir      string
	Operator string
}

// NewReporter prepares an installation in dir, unless there is one, and enrols
// its builder at the aggregator. address is where it submits; report says what:
// "--report", "all" or "--sets", names.
func NewReporter(ctx context.Context, a *Aggregator, dir, operator, address string, report ...string) (*Reporter, error) {
	r := &Reporter{Programs: a.Programs, Dir: dir, Operator: operator}
	args := append([]string{"--aggregator", address, "--operator", operator, "--consent-cc0"}, report...)
	if err := r.Init(ctx, args...); err != nil {
		return nil, err
	}
	return r, a.enrol(ctx, operator, filepath.Join(dir, "builder.pub"))
}

// enrol enrols a builder, unless it is.
func (a *Aggregator) enrol(ctx context.Context, operator, file string) error {
	key, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the builder's key: %w", err)
	}
	public, err := signing.ParsePublicKey(key)
	if err != nil {
		return fmt.Errorf("reading the builder's key: %w", err)
	}
	enrolled, err := a.Command(ctx, "builders list")
	if err != nil || strings.Contains(enrolled, string(public.Builder())) {
		return err
	}
	_, err = a.Command(ctx, "builders enrol", "--operator", operator, "--key", file)
	return err
}

// Init changes what the arguments say of the installation.
func (r *Reporter) Init(ctx context.Context, args ...string) error {
	_, err := output(exec.CommandContext(ctx, r.Programs.Reporter(), append([]string{"init", "--dir", r.Dir}, args...)...))
	return err
}

// InstallHook writes Nix's post-build-hook of this installation, and returns its file.
func (r *Reporter) InstallHook(ctx context.Context) (string, error) {
	file := r.Dir + "-nix-hook"
	_, err := output(exec.CommandContext(ctx, r.Programs.Reporter(), "hook", "install", "--dir", r.Dir, "--to", file))
	return file, err
}

// Exec returns the command that builds and attests.
func (r *Reporter) Exec(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, r.Programs.Reporter(), append([]string{"exec", "--dir", r.Dir}, args...)...)
}

// Submit sends what waits, once.
func (r *Reporter) Submit(ctx context.Context) error {
	_, err := output(exec.CommandContext(ctx, r.Programs.Reporter(), "run", "--once", "--dir", r.Dir))
	return err
}

// Status is what the installation says of itself.
func (r *Reporter) Status(ctx context.Context) (*spool.Status, error) {
	text, err := output(exec.CommandContext(ctx, r.Programs.Reporter(), "status", "--json", "--dir", r.Dir))
	if err != nil {
		return nil, err
	}
	var status spool.Status
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return nil, fmt.Errorf("reading the reporter's status: %w", err)
	}
	return &status, nil
}

// Attest records a build that was made by other means.
func (r *Reporter) Attest(ctx context.Context, args ...string) error {
	_, err := output(exec.CommandContext(ctx, r.Programs.Reporter(), append([]string{"attest", "--dir", r.Dir}, args...)...))
	return err
}

// Run keeps a reporter running until ctx ends or it is killed.
func (r *Reporter) Run(ctx context.Context, log io.Writer, args ...string) (*Running, error) {
	command := exec.CommandContext(ctx, r.Programs.Reporter(), append([]string{"run", "--dir", r.Dir}, args...)...)
	command.Stderr = log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 30 * time.Second
	ownGroup(command)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting a reporter: %w", err)
	}
	return &Running{command}, nil
}

// Running is a reporter at work.
type Running struct{ process *exec.Cmd }

// Kill ends the reporter as a power cut would: SIGKILL.
func (r *Running) Kill() error {
	if err := r.process.Process.Kill(); err != nil {
		return err
	}
	_ = r.process.Wait() // it was killed
	return nil
}
