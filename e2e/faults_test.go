package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/internal/needtest"
	"repronet.dev/ledger"
)

// A faulty is an aggregator under load to which things happen, and a mirror of its
// ledger.
type faulty struct {
	*server
	t       *testing.T
	load    *load
	loaders []*loader
	mirror  checker
	seen    *ledger.Checkpoint // the newest
	spooled []string           // outputs that a reporter delivered beside the load
	// stop ends the load, when the last of it is acknowledged.
	stop func()
}

// newFaulty starts a server whose data directory is a file system of its own, of a size
// as mount takes it, with more arguments.
func newFaulty(t *testing.T, size string, args ...string) *faulty {
	t.Helper()
	needtest.Root(t, "mount a small file system")
	chdbtest.Library(t)
	disk := t.TempDir()
	mustRun(t, "mount", "-t", "tmpfs", "-o", "size="+size, "none", disk)
	t.Cleanup(func() { mustRun(t, "umount", "-l", disk) })
	s := &server{log: messages(t, "the aggregator"), args: append([]string{"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms"}, args...)}
	if err := s.start(t.Context(), filepath.Join(disk, "data")); err != nil {
		t.Fatal(err)
	}
	f := &faulty{server: s, t: t, mirror: newChecker(t)}
	t.Cleanup(func() {
		select {
		case <-f.Ended(): // by itself: what waits for an answer waits for ever
			return
		default:
		}
		f.stop()
		if err := f.Stop(); err != nil {
			t.Errorf("the aggregator ended with: %v", err)
		}
	})
	f.load = newLoad(s.URL, logKey(t, s.URL))
	for i, operator := range []string{"alice", "bob", "carol"} {
		f.loaders = append(f.loaders, newLoader(t, f.load, s, operator, uint64(i)))
	}
	f.mirror.run(t, 0, "pin", "--yes", "--aggregator", s.URL)
	f.begin()
	return f
}

// mustRun runs a program that has to succeed.
func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if text, err := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, text)
	}
}

// begin starts the load.
func (f *faulty) begin() {
	ctx, stop := context.WithCancel(context.WithoutCancel(f.t.Context()))
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range f.loaders {
		group.Go(func() error { return l.run(ctx) })
	}
	f.stop = func() {
		stop()
		if err := group.Wait(); err != nil {
			f.t.Error(err)
		}
		f.stop = func() {}
	}
}

// taken waits until statements are acknowledged that were not when it was called.
func (f *faulty) taken() {
	f.t.Helper()
	f.load.mu.Lock()
	before := len(f.load.acknowledged)
	f.load.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		f.load.mu.Lock()
		now := len(f.load.acknowledged)
		f.load.mu.Unlock()
		if now > before+5 {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatal("nothing is acknowledged any more")
		}
	}
}

// continues checks that the published state continues the newest that was seen.
func (f *faulty) continues() {
	f.t.Helper()
	reader := ledger.NewReader(ledger.HTTP(http.DefaultClient, f.URL+api.LogPath), f.load.key)
	latest, err := reader.Checkpoint(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if f.seen != nil {
		if latest.Size < f.seen.Size {
			f.t.Errorf("the ledger has %d entries, %d were published", latest.Size, f.seen.Size)
			return
		}
		if err := reader.Tree(latest).CheckContinues(f.t.Context(), f.seen); err != nil {
			f.t.Errorf("a second history was signed: %v", err)
		}
	}
	f.seen = latest
}

// ready asks for readiness, and returns the status and the reason.
func (f *faulty) ready() (int, string) {
	response, err := http.Get(f.URL + "/healthz/ready")
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// until waits until readiness is as wanted.
func (f *faulty) until(status int) string {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got, why := f.ready()
		if got == status {
			return why
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("readiness is %d (%s), want %d", got, why, status)
		}
	}
}

// indexDone waits until pages are answered and cover the ledger.
func (f *faulty) indexDone() {
	f.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		_, err := fetch(f.t.Context(), f.URL+"/api/v1/summary")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			f.t.Fatal(err)
		}
	}
}

func (f *faulty) path(name string) string { return filepath.Join(f.Data, name) }

// damaged kills the server, changes what it has on disk, and starts it again.
func (f *faulty) damaged(change func()) {
	f.t.Helper()
	if err := f.Kill(); err != nil {
		f.t.Fatal(err)
	}
	change()
	if err := f.restart(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// refused kills the server after the load has stopped and the mirror has all of it,
// changes what is on disk, and wants a start to refuse and to say what to do; which is
// done, and then it starts.
func (f *faulty) refused(change func(), says string, do ...string) {
	f.t.Helper()
	f.stop()
	f.mirror.run(f.t, 0, "mirror", "--mirror", f.mirror.mirror)
	if err := f.Kill(); err != nil {
		f.t.Fatal(err)
	}
	change()
	start := exec.CommandContext(f.t.Context(), f.Programs.Aggregator(), append([]string{"serve", "--data", f.Data}, f.args...)...)
	text, err := start.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(string(text), says) {
		f.t.Fatalf("a start on it: %v, and says:\n%s\nwant status 1 and %q", err, text, says)
	}
	f.t.Logf("the start says: %s", text[strings.LastIndex(strings.TrimSpace(string(text)), "\n")+1:])
	if len(do) > 0 {
		killSoon(f.t, f.Programs.Aggregator(), do...)
		repair := exec.CommandContext(f.t.Context(), f.Programs.Aggregator(), do...)
		if text, err := repair.CombinedOutput(); err != nil {
			f.t.Fatalf("%s: %v: %s", strings.Join(do, " "), err, text)
		}
	}
	if err := f.restart(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.begin()
}

// edge returns the newest file of a directory of tiles, by its path in the ledger:
// that of the right edge.
func (f *faulty) edge(dir string) string {
	f.t.Helper()
	var newest string
	var at time.Time
	err := filepath.WalkDir(f.path("ledger/"+dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
		return err
	})
	if err != nil || newest == "" {
		f.t.Fatalf("no file in %s: %v", dir, err)
	}
	return newest
}

func (f *faulty) flip(path string) {
	f.t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data[len(data)/2] ^= 4
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *faulty) copyFrom() []string {
	return []string{"ledger", "repair", "--data", f.Data, "--from", f.mirror.mirror}
}

func (f *faulty) remove(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(f.path(name)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// whole looks for everything, stops the load for that, and starts it again.
func (f *faulty) whole() {
	f.t.Helper()
	f.stop()
	f.indexDone()
	summary := indexed(f.t, f.URL)
	entries, _ := readLedger(f.t, f.URL, summary.LedgerSize)
	checkLedger(f.t, entries, f.load, f.spooled)
	f.load.mu.Lock()
	acknowledged := len(f.load.acknowledged)
	f.load.mu.Unlock()
	f.t.Logf("%d statements acknowledged, %d ledger entries", acknowledged, len(entries))
	identical(f.t, f.server)
	if text, err := f.Command(f.t.Context(), "ledger check"); err != nil || text != "" {
		f.t.Errorf("ledger check: %v: %s", err, text)
	}
	f.begin()
}

// fill fills the file system, and returns what makes room again.
func (f *faulty) fill() (release func()) {
	path := filepath.Join(filepath.Dir(f.Data), "ballast")
	file, err := os.Create(path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			f.t.Error(err)
		}
	}
}

// immutable lets nothing be made, renamed or removed in the data directory any more
// ("+i"), as on a file system that was mounted read-only after an error, or again
// ("-i").
func (f *faulty) immutable(flag string) {
	f.t.Helper()
	mustRun(f.t, "find", f.Data, "-type", "d", "-exec", "chattr", flag, "{}", "+")
}

// limit sets how many files the server may have open.
func (f *faulty) limit(files string) {
	mustRun(f.t, "prlimit", "--pid", fmt.Sprint(f.PID()), "--nofile="+files)
}

func (f *faulty) signal(s syscall.Signal) {
	f.t.Helper()
	if err := syscall.Kill(f.PID(), s); err != nil {
		f.t.Fatal(err)
	}
}

// A fault is what happens to a server under load. When it returns, the server runs.
type fault struct {
	name string
	do   func(f *faulty)
}

// faults are in the order in which one server meets them.
func faults() []fault {
	return []fault{
		{"the dot-files are lost", func(f *faulty) { f.damaged(func() { f.remove("ledger/.state") }) }},
		{"a byte of a tile is flipped", func(f *faulty) { f.damaged(func() { f.flip(f.edge("tile/0")) }) }},
		{"a tile is truncated", func(f *faulty) {
			f.damaged(func() {
				if err := os.Truncate(f.edge("tile/0"), 31); err != nil {
					f.t.Fatal(err)
				}
			})
		}},
		{"a byte of an entry is flipped", func(f *faulty) {
			f.refused(func() { f.flip(f.edge("tile/entries")) }, "repronet-aggregator ledger repair --from", f.copyFrom()...)
		}},
		{"an older ledger beside a newer index", func(f *faulty) {
			older := filepath.Join(f.t.TempDir(), "older")
			if err := f.Kill(); err != nil {
				f.t.Fatal(err)
			}
			if err := os.CopyFS(older, os.DirFS(f.path("ledger"))); err != nil {
				f.t.Fatal(err)
			}
			if err := f.restart(f.t.Context()); err != nil {
				f.t.Fatal(err)
			}
			f.taken()
			f.indexDone()
			indexedAll(f)
			f.refused(func() {
				f.remove("ledger")
				if err := os.CopyFS(f.path("ledger"), os.DirFS(older)); err != nil {
					f.t.Fatal(err)
				}
			}, "this ledger is older than what was acknowledged", f.copyFrom()...)
		}},
		{"the index is damaged", func(f *faulty) {
			f.damaged(func() {
				err := filepath.WalkDir(f.path("index"), func(path string, d os.DirEntry, err error) error {
					if err != nil || !d.Type().IsRegular() {
						return err
					}
					return os.WriteFile(path, []byte("garbage"), 0o600)
				})
				if err != nil {
					f.t.Fatal(err)
				}
			})
			f.indexDone()
		}},
		{"the index is lost", func(f *faulty) { f.damaged(func() { f.remove("index") }); f.indexDone() }},
		{"the index is removed while it is used", func(f *faulty) {
			f.remove("index")
			f.taken()
			f.indexDone()
		}},
		{"the disk is full", func(f *faulty) {
			release := f.fill()
			why := f.until(http.StatusServiceUnavailable)
			f.t.Logf("readiness says %s", why)
			time.Sleep(3 * time.Second)
			release()
			f.until(http.StatusOK)
		}},
		{"it is killed and starts while the disk is full", func(f *faulty) {
			release := f.fill()
			defer func() { release() }()
			f.damaged(func() {})
			f.t.Logf("readiness says %s", f.until(http.StatusServiceUnavailable))
			release()
			release = func() {}
			f.until(http.StatusOK)
		}},
		{"the disk cannot be written", func(f *faulty) {
			f.immutable("+i")
			defer f.immutable("-i")
			f.t.Logf("readiness says %s", f.until(http.StatusServiceUnavailable))
			time.Sleep(3 * time.Second)
			f.immutable("-i")
			f.until(http.StatusOK)
		}},
		{"64 descriptors", func(f *faulty) {
			f.limit("64:20000")
			time.Sleep(4 * time.Second)
			f.limit("20000:20000")
			f.until(http.StatusOK)
		}},
		{"2,000 connections that say nothing", func(f *faulty) {
			address := strings.TrimPrefix(f.URL, "http://")
			for range 2000 {
				conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(f.t.Context(), "tcp", address)
				if err != nil {
					f.t.Fatal(err)
				}
				defer conn.Close()
			}
			f.taken() // by connections that were there, and by those that are made now
			fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
			response, err := fresh.Get(f.URL + api.LogPath + "/checkpoint")
			if err != nil {
				f.t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				f.t.Errorf("the checkpoint: %s", response.Status)
			}
		}},
		{"it is stopped for a while", func(f *faulty) {
			f.signal(syscall.SIGSTOP)
			time.Sleep(3 * time.Second)
			f.signal(syscall.SIGCONT)
			f.until(http.StatusOK)
		}},
		{"the disk fails", diskDies},
	}
}

func indexedAll(f *faulty) {
	f.t.Helper()
	f.stop()
	indexed(f.t, f.URL)
	f.begin()
}

// TestFaults damages a server under load in every way that is listed. It goes on by
// itself, or says the one thing to do; no second history is signed, and in the end
// everything that was acknowledged is there, once, and replays to what is published.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, "256m")
	f.taken()
	f.continues()
	for _, fault := range append(faults(), interruptions()...) {
		ok := t.Run(fault.name, func(t *testing.T) {
			outer := f.t
			f.t = t
			defer func() { f.t = outer }()
			fault.do(f)
			f.taken()
			f.continues()
			if faultsAreLong {
				f.whole()
			}
		})
		if !ok {
			break
		}
	}
	f.whole()
}
