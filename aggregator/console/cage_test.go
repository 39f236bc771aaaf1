package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestBareWorker: with the parser passed by, a worker answers in every format, says what is
// wrong with a question or its cost, and stands all attacks.
func TestBareWorker(t *testing.T) {
	of := small(t)
	b := newBench(t, of, Limits{Time: time.Minute, Memory: 300 << 20, Rows: 1000, Bytes: 1 << 20})
	t.Run("formats", func(t *testing.T) { checkFormats(t, b) })
	t.Run("errors", func(t *testing.T) { checkErrors(t, b) })
	t.Run("attacks", func(t *testing.T) { checkAttacks(t, b, of) })
}

// checkAttacks: no attack changes, reads or reaches what it must not, and none keeps the
// worker from answering the next question.
func checkAttacks(t *testing.T, b *bench, of Snapshot) {
	t.Helper()
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	secret, _, _ := strings.Cut(string(passwd), ":")
	for _, a := range attacks {
		if a.harmless {
			continue // its cost alone is wrong: see checkErrors and checkTime
		}
		result, err := b.ask(t.Context(), a.sql)
		if err == nil && strings.Contains(result, secret+":") {
			t.Errorf("%s reads a file: %.200s", a.name, result)
		}
		if err != nil {
			if _, ok := errors.AsType[*QueryError](err); !ok {
				if _, ok := errors.AsType[*LimitError](err); !ok {
					t.Errorf("%s: %v", a.name, err)
				}
			}
			if strings.Contains(err.Error(), of.Dir) {
				t.Errorf("%s is told of the machine: %v", a.name, err)
			}
		}
		if !b.lives() {
			t.Fatalf("%s ended the worker: %v%s", a.name, err, b.errors.said())
		}
	}
	if !b.lives() {
		t.Fatalf("an attack ended the worker%s", b.errors.said())
	}
	if result, err := b.ask(t.Context(), "SELECT output, build FROM outputs ORDER BY output"); err != nil || result != "\"output\",\"build\"\n\"a\",\"a.drv\"\n\"b\",\\N\n" {
		t.Errorf("after the attacks: %q, %v", result, err)
	}
}

// attempts are what a worker must not do, whatever its engine allows. Each says whether it was
// done.
func attempts(t *testing.T) map[string]func(b *bench) (done bool, said string) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("the log's key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	reached := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			reached <- struct{}{}
		}
	}()
	say := func(result string, err error) string { return fmt.Sprintf("%q, %v", result, err) }
	return map[string]func(b *bench) (bool, string){
		"reads a file": func(b *bench) (bool, string) {
			result, err := b.ask(t.Context(), "SELECT * FROM file('"+secret+"', LineAsString)")
			return strings.Contains(result, "key"), say(result, err)
		},
		"writes a file": func(b *bench) (bool, string) {
			path := filepath.Join(dir, "written")
			result, err := b.ask(t.Context(), "INSERT INTO FUNCTION file('"+path+"', CSV, 'x String') SELECT 'x'")
			_, there := os.Stat(path)
			return there == nil, say(result, err)
		},
		"reaches an address": func(b *bench) (bool, string) {
			result, err := b.ask(t.Context(), "SELECT * FROM url('http://"+listener.Addr().String()+"/', CSV, 'x String') SETTINGS http_max_tries = 1")
			select {
			case <-reached:
				return true, say(result, err)
			case <-time.After(100 * time.Millisecond):
				return false, say(result, err)
			}
		},
	}
}

// TestCage: what the engine would do for an attacker, the kernel does not do for the engine;
// and the engine does not do it even where the kernel would. Without both it is done, which
// shows that the test sees it.
func TestCage(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts three engines")
	}
	for _, test := range []struct {
		name    string
		without []string
		done    bool
	}{
		{"the kernel alone", []string{"readonly"}, false},
		{"the engine alone", []string{"cage", "seal"}, false},
		{"neither", []string{"readonly", "cage", "seal"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, small(t), Limits{}, test.without...)
			for name, try := range attempts(t) {
				if done, said := try(b); done != test.done {
					t.Errorf("it %s: %t: %s", name, done, said)
				}
			}
			checkTime(t, b)
		})
	}
}

// sealVariable has the tests' program seal itself and try what it then cannot do.
const sealVariable = "REPRONET_TEST_SEAL"

// trySealed says what a program can do, sealed or not.
func trySealed(ctx context.Context, sealed bool) error {
	if sealed {
		// Without that seccomp is for administrators only; the cage does it.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		if err := seal(); err != nil {
			return err
		}
	}
	_, socket := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	fmt.Println(socket == nil, exec.CommandContext(ctx, "/bin/true").Run() == nil)
	return nil
}

// TestSeal: a program that is sealed opens no socket and starts no program, from any thread.
func TestSeal(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for sealed, want := range map[string]string{"no": "true true\n", "yes": "false false\n"} {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), sealVariable+"="+sealed)
		said, err := cmd.CombinedOutput()
		if err != nil || string(said) != want {
			t.Errorf("sealed: %s: %q, want %q (%v)", sealed, said, want, err)
		}
	}
}
