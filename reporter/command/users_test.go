package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"repronet.dev/internal/exectest"
	"repronet.dev/reporter"
)

// Two users without rights, and without names.
const (
	alice = 42001
	bob   = 42002
)

// as makes a command run with a user's rights.
func as(command *exec.Cmd, uid uint32) *exec.Cmd {
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return command
}

// users are alice, with a reporter's directory, and bob, with a directory of his own, on
// one machine. The test is root.
type users struct {
	t       *testing.T
	home    reporter.Home
	bobs    string
	program string
}

func newUsers(t *testing.T) *users {
	t.Helper()
	home := ofAnother(t) // which skips where this is not root
	u := &users{t: t, home: home, bobs: filepath.Join(t.TempDir(), "bob"), program: filepath.Join(t.TempDir(), "repronet-reporter")}
	content, err := os.ReadFile(binary(t)) // where each user may run it
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(u.bobs, 0o755); err != nil {
		t.Fatal(err)
	}
	exectest.Write(t, u.program, content)
	u.give(string(home), alice)
	u.give(u.bobs, bob)
	u.give(u.program, 0)
	return u
}

// give makes all below a path a user's, and lets everybody pass to it.
func (u *users) give(path string, uid int) {
	u.t.Helper()
	err := filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	})
	for at := filepath.Dir(path); err == nil && at != "/" && at != "/tmp"; at = filepath.Dir(at) {
		err = os.Chmod(at, 0o755)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// run runs a reporter's command with a user's rights, in alice's directory.
func (u *users) run(uid uint32, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(u.t.Context(), time.Minute)
	defer cancel()
	command := as(exec.CommandContext(ctx, u.program, append(args, "--dir", string(u.home))...), uid)
	command.Env = append(os.Environ(), "HOME="+u.bobs, "DRV_PATH=/nix/store/none.drv", "OUT_PATHS=/nix/store/none")
	out, err := command.CombinedOutput()
	return string(out), err
}

// TestAnotherUsersReporter: bob can neither read nor write what is alice's, with this
// program or by himself.
func TestAnotherUsersReporter(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	before := tree(t, string(u.home))
	for _, args := range [][]string{
		{"status"},
		{"run", "--once"},
		{"requeue"},
		{"rotate"},
		{"init", "--report", "all"},
		{"uninstall", "--yes"},
		{"attest", "--build", "x", "--output", "a=" + u.program},
	} {
		if out, err := u.run(bob, args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out, err := u.run(bob, "hook", "nix"); err != nil || out == "" { // it never fails
		t.Errorf("hook: %s, %v", out, err)
	}
	for _, script := range []string{"cat $0/key.pem", "ls $0/spool", "echo x > $0/spool/queue/0.json", "ln -s /etc $0/x", "mv $0 $0.mine"} {
		if out, err := as(exec.CommandContext(t.Context(), "sh", "-c", script, string(u.home)), bob).CombinedOutput(); err == nil {
			t.Errorf("%s: %s", script, out)
		}
	}
	if after := tree(t, string(u.home)); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

// tree lists a directory with sizes and owners.
func tree(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "find", dir, "-printf", "%p %s %U %m\n").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestOthersMayWrite: where bob may write to alice's directory, or to one above it, her
// own commands refuse to work there.
func TestOthersMayWrite(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	if out, err := u.run(alice, "status"); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	for _, dir := range []string{string(u.home), filepath.Join(string(u.home), "spool"), filepath.Dir(string(u.home))} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"status"}, {"run", "--once"}} {
			if out, err := u.run(alice, args...); err == nil || !strings.Contains(out, "may be written by others") {
				t.Errorf("%s, %v: %s, %v", dir, args, out, err)
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A link to her directory that bob can turn elsewhere.
	link := filepath.Join(u.bobs, "link")
	if err := errors.Join(os.Symlink(filepath.Dir(string(u.home)), link), os.Lchown(link, bob, bob)); err != nil {
		t.Fatal(err)
	}
	u.home = reporter.Home(filepath.Join(link, filepath.Base(string(u.home))))
	if out, err := u.run(alice, "status"); err == nil || !strings.Contains(out, "user 42002") {
		t.Errorf("by bob's link: %s, %v", out, err)
	}
}

// TestLinksToOthers: links, pipes and devices that alice puts into her own directory make
// root's hook, and her own programs, write nothing of bob's or root's.
func TestLinksToOthers(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	secret, roots := filepath.Join(u.bobs, "secret"), filepath.Join(t.TempDir(), "root")
	for _, file := range []string{secret, roots} {
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u.give(u.bobs, bob)
	spool := func(name string) string { return filepath.Join(string(u.home), "spool", name) }
	for _, err := range []error{
		os.Symlink(roots, spool("receipts.jsonl")), os.Symlink(secret, spool("problems.log")),
		os.RemoveAll(spool("lock")), os.Symlink(roots, spool("lock")),
		os.RemoveAll(spool("sent")), os.Symlink(u.bobs, spool("sent")),
		syscall.Mknod(spool("queue/0-null.json"), syscall.S_IFCHR|0o666, 1<<8|3), // /dev/null
		syscall.Mknod(spool("queue/0-zero.json"), syscall.S_IFCHR|0o666, 1<<8|5), // /dev/zero, without end
		syscall.Mkfifo(spool("queue/0-pipe.json"), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	u.give(string(u.home), alice)
	for range 2 {
		if out, err := u.run(0, "hook", "nix"); err != nil {
			t.Errorf("hook: %s, %v", out, err)
		}
		_, _ = u.run(alice, "run", "--once") // which may refuse
		if err := os.RemoveAll(spool("lock")); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{secret, roots} {
		if content, err := os.ReadFile(file); err != nil || string(content) != "before" {
			t.Errorf("%s is %q now (%v)", file, content, err)
		}
	}
	if entries, err := os.ReadDir(u.bobs); err != nil || len(entries) != 1 {
		t.Errorf("bob's directory has %v now (%v)", entries, err)
	}
}

// TestTerminated: 'run' ends soon after a signal, also while it waits for a file that is
// a pipe into which nothing is written.
func TestTerminated(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(home reporter.Home) error
		atWork  func(home reporter.Home) bool
		status  int
	}{
		"nothing to do": {func(reporter.Home) error { return nil }, passed, 0},
		"a pipe in place of the configuration": {
			func(home reporter.Home) error {
				return errors.Join(os.Remove(configOf(home)), syscall.Mkfifo(configOf(home), 0o600))
			},
			func(home reporter.Home) bool {
				// This succeeds while somebody waits to read, and ends that only by its own end.
				pipe, err := os.OpenFile(configOf(home), os.O_WRONLY|syscall.O_NONBLOCK, 0)
				if err == nil {
					t.Cleanup(func() { _ = pipe.Close() })
				}
				return err == nil
			}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := newHome(t)
			if err := tt.prepare(home); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // then it is killed
			defer cancel()
			command := exec.CommandContext(ctx, binary(t), "run", "--dir", string(home))
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			for !tt.atWork(home) {
				if ctx.Err() != nil {
					t.Fatal("it does not begin")
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			// Death by the signal has no exit status.
			if err := command.Wait(); command.ProcessState.ExitCode() != tt.status {
				t.Errorf("%v, want exit status %d", err, tt.status)
			}
		})
	}
}

func configOf(home reporter.Home) string { return filepath.Join(string(home), "config.json") }

// passed reports whether a 'run' has made a pass in a directory.
func passed(home reporter.Home) bool {
	_, err := os.Stat(filepath.Join(string(home), "spool", "contact.json"))
	return err == nil
}
