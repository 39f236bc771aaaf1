package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/needtest"
)

// interruptions are the faults in which a command is at work when a program is killed.
func interruptions() []fault {
	return []fault{
		{"it is killed while it reindexes", func(f *faulty) { f.interrupt("", "reindex") }},
		{"it is killed while it imports certificates, and while it erases one", importAndErase},
		{"a reporter is killed while it rotates its key", rotateKilled},
		{"a checker is killed while it pins", func(f *faulty) {
			checker := newChecker(f.t)
			for range 3 {
				killSoon(f.t, programs().Verify(), "pin", "--yes", "--config", checker.config, "--aggregator", f.URL)
			}
			checker.run(f.t, 0, "pin", "--yes", "--aggregator", f.URL)
			checker.run(f.t, 0, "mirror", "--mirror", checker.mirror)
		}},
	}
}

// killSoon starts a program and kills it at some moment of its work; it may have ended before.
func killSoon(t *testing.T, name string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(60 * time.Millisecond))
	_ = command.Process.Kill() // it may have ended
	_ = command.Wait()
}

// interrupt kills the server while it does what a command asks for, starts it again, and
// wants the command to be done when it is called again. What a command says that was done
// before the kill already is in "already".
func (f *faulty) interrupt(already, words string, args ...string) {
	f.t.Helper()
	command := exec.CommandContext(f.t.Context(), f.Programs.Aggregator(), append(append(strings.Fields(words), "--data", f.Data), args...)...)
	if err := command.Start(); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(rand.N(60 * time.Millisecond))
	f.damaged(func() { _ = command.Wait() }) // its server was killed
	if _, err := f.Command(f.t.Context(), words, args...); err != nil && (already == "" || !strings.Contains(err.Error(), already)) {
		f.t.Errorf("called again: %v", err)
	}
}

func importAndErase(f *faulty) {
	made := time.Now().Add(-24 * time.Hour)
	r := &repository{newGPG(f.t), f.t.TempDir()}
	people := []string{"dora", "emil", "fay"}
	for _, who := range people {
		r.key(made, who, "0")
		write(f.t, filepath.Join(r.dir, "builder-keys", who+".gpg"), r.export(made, who))
	}
	f.interrupt("", "builders import-openpgp", "--project", "interrupted", r.dir)
	var builders []api.RosterBuilder
	if err := json.Unmarshal([]byte(f.admin(f.t, "builders list", "--json")), &builders); err != nil {
		f.t.Fatal(err)
	}
	certificate := ""
	for _, who := range people {
		count := 0
		for _, b := range builders {
			if b.Operator == who {
				count++
				certificate = b.OpenPGP[0].Certificate
			}
		}
		if count != 1 {
			f.t.Errorf("%s is enrolled %d times", who, count)
		}
	}
	f.interrupt("erased", "erase", "--reason", "asked for", "--yes", certificate)
	err := filepath.WalkDir(f.path("ledger"), func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.Contains(strings.ReplaceAll(path, "/", ""), certificate) {
			f.t.Errorf("%s is still there", path)
		}
		return err
	})
	if err != nil {
		f.t.Error(err)
	}
}

func rotateKilled(f *faulty) {
	r, err := network.NewReporter(f.t.Context(), f.Aggregator, filepath.Join(f.t.TempDir(), "reporter"), "rotating", f.URL, "--report", "all")
	if err != nil {
		f.t.Fatal(err)
	}
	for range 3 {
		killSoon(f.t, programs().Reporter(), "rotate", "--dir", r.Dir)
	}
	mustRun(f.t, programs().Reporter(), "rotate", "--dir", r.Dir)
	output := filepath.Join(f.t.TempDir(), "output")
	write(f.t, output, "rotated")
	if err := r.Attest(f.t.Context(), "--build", "rotated/1.0", "--output", "bin="+output); err != nil {
		f.t.Fatal(err)
	}
	f.spooled = append(f.spooled, "rotated/1.0^bin")
	if err := r.Submit(f.t.Context()); err != nil {
		f.t.Error(err)
	}
	f.indexDone()
	if status, err := r.Status(f.t.Context()); err != nil || status.Waiting+status.Outbox > 0 {
		f.t.Errorf("after the rotation: %+v: %v", status, err)
	}
}

// failing lets each attempt of the server to bring data to the disk fail, as a disk
// does that dies, until the returned function is called.
func (f *faulty) failing() (heal func()) {
	f.t.Helper()
	needtest.Program(f.t, "strace", "strace")
	ctx, cancel := context.WithCancel(f.t.Context())
	tracer := exec.CommandContext(ctx, "strace", "-f", "-qq", "-o", filepath.Join(f.t.TempDir(), "calls"), "-p", fmt.Sprint(f.PID()),
		"-e", "trace=fsync,fdatasync,sync_file_range", "-e", "inject=fsync,fdatasync:error=EIO")
	tracer.Cancel = func() error { return tracer.Process.Signal(os.Interrupt) }
	tracer.WaitDelay = 10 * time.Second
	if err := tracer.Start(); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		cancel()
		_ = tracer.Wait() // it was interrupted
	}
}

func diskDies(f *faulty) {
	heal := f.failing()
	defer heal()
	f.t.Logf("readiness says %s", f.until(http.StatusServiceUnavailable))
	time.Sleep(2 * time.Second)
	heal()
	f.until(http.StatusOK)
}
