package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/signing/signingtest"
)

// A witnessing is a repronet-verify witness as a process.
type witnessing struct {
	t       *testing.T
	args    []string
	log     io.Writer
	process *exec.Cmd
	key     string
	url     string
}

func startWitness(t *testing.T, name, logKey string) *witnessing {
	t.Helper()
	w := &witnessing{t: t, log: messages(t, "the witness "+name), args: []string{
		"witness", "--listen", "127.0.0.1:0", "--key", filepath.Join(t.TempDir(), "key"), "--name", name, "--log", logKey,
	}}
	w.start()
	t.Cleanup(w.kill)
	return w
}

// start starts the witness, at the address that it had before.
func (w *witnessing) start() {
	w.t.Helper()
	w.process = exec.CommandContext(context.WithoutCancel(w.t.Context()), programs().Verify(), w.args...)
	w.process.Stderr = w.log
	w.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := w.process.StdoutPipe()
	if err == nil {
		err = w.process.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for _, line := range []*string{&w.key, &w.url} {
		if !lines.Scan() {
			w.t.Fatalf("the witness ended: %v", w.process.Wait())
		}
		*line = lines.Text()
	}
	w.args[2] = strings.TrimPrefix(w.url, "http://")
}

// kill ends the witness as a power cut would.
func (w *witnessing) kill() {
	_ = w.process.Process.Kill()
	_ = w.process.Wait() // it was killed
}

// TestWitnesses has two witnesses cosign an aggregator's ledger, until the
// aggregator shows another history.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	s := startAggregator(t)
	key, err := fetch(t.Context(), s.URL+"/log/key")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	var policy strings.Builder
	var witnesses []*witnessing
	c := newChecker(t)
	c.run(t, 0, "pin", "--log-key", strings.TrimSpace(string(key)), "--aggregator", s.URL)
	for i := range 2 {
		w := startWitness(t, fmt.Sprintf("w%d.example.org", i), strings.TrimSpace(string(key)))
		witnesses = append(witnesses, w)
		fmt.Fprintf(&policy, "witness w%d %s %s\n", i, w.key, w.url)
		c.run(t, 0, "pin", "--witness", w.key)
	}
	policy.WriteString("group both all w0 w1\nquorum both\n")
	dir := t.TempDir()
	config := filepath.Join(dir, "aggregator.yaml")
	for path, text := range map[string]string{
		filepath.Join(dir, "witnesses"): policy.String(), config: "witnesses: " + filepath.Join(dir, "witnesses") + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.args = append(s.args, "--config", config)
	restart := func() {
		t.Helper()
		if err := s.restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop := func() {
		t.Helper()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	// enrol appends an entry, and waits until it is published.
	enrol := func(operator string) {
		t.Helper()
		pem := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(pem, signingtest.New(t).Public().PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Command(t.Context(), "builders enrol", "--operator", operator, "--key", pem); err != nil {
			t.Fatal(err)
		}
		readLedger(t, s.URL, indexed(t, s.URL).LedgerSize)
	}
	mirror := func(dir string, status int) string {
		t.Helper()
		return c.run(t, status, "mirror", "--mirror", dir)
	}

	enrol("alice")
	mine := t.TempDir()
	mirror(mine, 0)
	backup := filepath.Join(dir, "backup")
	stop()
	if err := os.CopyFS(backup, os.DirFS(s.Data)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(backup, "log.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	restart()

	// Witnesses that were killed go on where they were.
	for _, w := range witnesses {
		w.kill()
		w.start()
	}
	enrol("bob")
	mirror(mine, 0)

	// One is gone: nobody waits for long, and the state is not believed.
	witnesses[1].kill()
	begin := time.Now()
	enrol("carol")
	if waited := time.Since(begin); waited > time.Minute {
		t.Errorf("with a witness gone it took %v to publish an entry", waited)
	}
	if said := mirror(mine, 3); !strings.Contains(said, "1 of the pinned witnesses cosigned, 2 are asked for") {
		t.Error(said)
	}
	witnesses[1].start()
	enrol("dave")
	mirror(mine, 0)

	// Another history, for one who has seen none.
	stop()
	s.Data = backup
	restart()
	for _, operator := range []string{"eve", "fay", "gil"} {
		enrol(operator)
	}
	if said := mirror(t.TempDir(), 3); !strings.Contains(said, "0 of the pinned witnesses cosigned, 2 are asked for") {
		t.Error(said)
	}
	for _, words := range []string{"output alice/hello-1.0^bin", "output alice/hello-1.0^bin --light", "monitor --once", "replay --aggregator " + s.URL} {
		if said := c.run(t, 3, words, "--mirror", t.TempDir()); !strings.Contains(said, "not cosigned by enough witnesses") {
			t.Errorf("%s: %s", words, said)
		}
	}
	if said := mirror(mine, 3); !strings.Contains(said, "two histories") {
		t.Errorf("one who has seen the first does not say that the log is convicted: %s", said)
	}
}

// history is a log of which only the hashes are kept.
type history []tlog.Hash

func (h history) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, i := range indexes {
		found = append(found, h[i])
	}
	return found, nil
}

// with returns the history of size entries with one more.
func (h history) with(t *testing.T, size int64, entry string) history {
	t.Helper()
	stored, err := tlog.StoredHashes(size, []byte(entry), h)
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clip(h), stored...)
}

// request asks a witness at the size old to cosign the first size entries.
func (h history) request(t *testing.T, key note.Signer, old, size int64) []byte {
	t.Helper()
	body := fmt.Appendf(nil, "old %d\n", old)
	if old > 0 && old < size {
		proof, err := tlog.ProveTree(size, old, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range proof {
			body = fmt.Appendf(body, "%s\n", base64.StdEncoding.EncodeToString(p[:]))
		}
	}
	root, err := tlog.TreeHash(size, h)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", key.Name(), size, root)}, key)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(body, []byte("\n"), checkpoint)
}

// cosign makes a request, and reports whether the answer is a cosignature.
func (w *witnessing) cosign(ctx context.Context, body []byte) (cosigned bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return false, err
	}
	_, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
	witnesses, err := ledger.NewWitnesses([]string{w.key}, 1)
	if err != nil {
		return false, err
	}
	_, err = witnesses.Check(&ledger.Checkpoint{Text: slices.Concat(checkpoint, answer)})
	return err == nil, nil
}

// TestWitnessKills asks a witness for two histories at once, and kills it
// meanwhile, again and again: it cosigns one.
func TestWitnessKills(t *testing.T) {
	t.Parallel()
	key, err := writer.LoadOrCreateKey(filepath.Join(t.TempDir(), "log.key"), "repro.example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	w := startWitness(t, "w.example.org", key.String())
	var now history
	var size int64
	answered, killed := 0, 0
	for round := range 40 {
		forks := [2]history{now.with(t, size, fmt.Sprintf("%d left", round)), now.with(t, size, fmt.Sprintf("%d right", round))}
		if rand.IntN(2) == 0 {
			forks[0], forks[1] = forks[1], forks[0]
		}
		// Whoever was answered before the kill has a cosignature.
		var has [2]bool
		done := make(chan int, len(forks))
		for i, fork := range forks {
			body := fork.request(t, key, size, size+1)
			go func() {
				has[i], _ = w.cosign(t.Context(), body) // the witness may be dead
				done <- i
			}()
		}
		time.Sleep(rand.N(4 * time.Millisecond))
		w.kill()
		for range forks {
			<-done
		}
		w.start()
		var again [2]bool
		for i, fork := range forks {
			for _, old := range []int64{size, size + 1} { // it may have got to either
				cosigned, err := w.cosign(t.Context(), fork.request(t, key, old, size+1))
				if err != nil {
					t.Fatal(err)
				}
				again[i] = again[i] || cosigned
			}
		}
		if got := [2]bool{has[0] || again[0], has[1] || again[1]}; got[0] == got[1] {
			t.Fatalf("round %d: before the kill it cosigned %v of two histories, after it %v", round, has, again)
		}
		if has[0] || has[1] {
			answered++
		} else {
			killed++
		}
		now = forks[0]
		if again[1] {
			now = forks[1]
		}
		size++
	}
	t.Logf("%d times it had answered, %d times it had not", answered, killed)
}
