package rebuild

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Limits are what a build may cost; 0 bounds nothing.
type Limits struct {
	Time      time.Duration // of a build, as the clock on the wall has it
	Cores     int           // that the build is told to use
	Memory    int64         // bytes resident, summed over the processes of the build
	Disk      int64         // bytes by which the free space of the file system may shrink
	Processes int           // at once
}

// A StoppedError says that a build was ended since it took more than this machine gives.
// That says nothing about its recipe.
type StoppedError struct{ Reason string }

func (e *StoppedError) Error() string { return "stopped: " + e.Reason }

// watchEvery is how often it is looked at what a build takes.
const watchEvery = 250 * time.Millisecond

// stopGrace is how long a program has to end when it is told to, before it and all that it
// started are killed.
const stopGrace = 10 * time.Second

// run runs a command within the limits; what is written below dir counts as its disk. The
// error is a *StoppedError where a limit ended it, the context's where that did, and the
// command's own otherwise.
func (l *Limits) run(ctx context.Context, command *exec.Cmd, dir string) error {
	free, err := freeSpace(dir)
	if err != nil {
		return err
	}
	// In a process group of its own it gets no signal of the terminal: it is ended here.
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	endWithParent(command.SysProcAttr)
	runtime.LockOSThread() // which is the parent
	defer runtime.UnlockOSThread()
	if err := command.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			stop(command.Process.Pid, done)
			return context.Cause(ctx)
		case <-tick.C:
			if reason := l.exceeded(command.Process.Pid, dir, free); reason != "" {
				stop(command.Process.Pid, done)
				return &StoppedError{reason}
			}
		}
	}
}

// exceeded tells which limit the processes below pid are beyond; "" if none. free is how
// much space the file system of dir had.
func (l *Limits) exceeded(pid int, dir string, free int64) string {
	if l.Disk > 0 {
		if now, err := freeSpace(dir); err == nil && free-now > l.Disk {
			return fmt.Sprintf("%s of free disk space became less by more than %s", dir, mebibytes(l.Disk))
		}
	}
	if l.Memory <= 0 && l.Processes <= 0 {
		return ""
	}
	processes, resident := family(pid)
	switch {
	case l.Memory > 0 && resident > l.Memory:
		return fmt.Sprintf("it took more than %s of memory", mebibytes(l.Memory))
	case l.Processes > 0 && len(processes) > l.Processes:
		return fmt.Sprintf("it had more than %d processes at once", l.Processes)
	}
	return ""
}

// stop ends a command with all that it started: first as a person would, who presses
// Control-C, so that Nix lets go of its locks and files.
func stop(pid int, done <-chan error) {
	_ = syscall.Kill(pid, syscall.SIGINT)
	select {
	case <-done: //nolint:errcheck // what ends it is known
		return
	case <-time.After(stopGrace):
	}
	processes, _ := family(pid)
	for _, p := range processes {
		_ = syscall.Kill(p, syscall.SIGKILL)
	}
	<-done //nolint:errcheck // likewise
}

// freeSpace returns how many bytes the file system of a directory has left.
func freeSpace(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("asking how much space %s has: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // the types differ between systems
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// exitStatus is the status of a command that ended by itself; -1 for anything else.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}
