package index_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/internal/chdb"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/signing/signingtest"
)

// breaking is a connection that breaks at an INSERT into a table: before it, or
// when it is done and nobody gets to know.
type breaking struct {
	mu     sync.Mutex // guards everything below
	table  string     // "" never breaks
	left   int        // inserts into it until then
	after  bool
	broken bool
}

var errBroken = errors.New("the connection broke")

func (b *breaking) set(table string, left int, after bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.table, b.left, b.after, b.broken = table, left, after, false
}

func (b *breaking) send(to http.RoundTripper, r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	if b.broken {
		b.mu.Unlock()
		return nil, errBroken
	}
	last := false
	if b.table != "" && strings.HasPrefix(r.URL.Query().Get("query"), "INSERT INTO "+b.table+" ") {
		b.left--
		last = b.left == 0
		b.broken = last
	}
	b.mu.Unlock()
	if !last {
		return to.RoundTrip(r)
	}
	if b.after {
		response, err := to.RoundTrip(r)
		if err == nil {
			err = response.Body.Close()
		}
		return nil, errors.Join(errBroken, err)
	}
	return nil, errBroken
}

// A prefix is a ledger that has only so many entries yet.
type prefix struct {
	*memory
	size uint64
}

func (p prefix) Size() uint64 { return p.size }

// TestStatementsFail lets the index fail at each of its writes, go on with
// batches of another size, fail again, and so on.
func TestStatementsFail(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(7, 0))
	w.random(random, 160)
	want := modelOf(w)

	options := chdbtest.Database(t)
	connection := &breaking{}
	chdbtest.Through(t, options, connection.send)
	s := openStoreWith(t, options)
	tables := []string{
		"touched", "observations", "outputs", "builds", "digests", "verdict_changes", "entries", "statements",
		"divergences", "builders", "counts", "counts", "verdicts", "verdicts", "verdicts", "watermark", "watermark", "watermark", "set_members",
	}
	failures := 0
	for size := uint64(0); size < w.log.Size(); {
		size = min(size+1+random.Uint64N(12), w.log.Size())
		for {
			x := newIndex(t, index.Config{MaxEntries: 1 + random.IntN(16)}, s, prefix{w.log, size})
			connection.set(tables[random.IntN(len(tables))], 1+random.IntN(2), random.IntN(2) == 0)
			err := x.CatchUp(t.Context())
			connection.set("", 0, false)
			if err == nil {
				break
			}
			if !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			failures++
		}
	}
	if failures < 20 {
		t.Errorf("only %d failures: the test does not test much", failures)
	}
	got, err := read(t.Context(), s.Current())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameResult); diff != "" {
		t.Errorf("after %d failures, index differs from model (-model +index):\n%s", failures, diff)
	}
}

// TestResumeEntryByEntry interrupts a batch after its states are written: what
// they have of its entries must not count again, one by one.
func TestResumeEntryByEntry(t *testing.T) {
	w := newWorld(t)
	a, b := signingtest.Named("a"), signingtest.Named("b")
	w.enrol(a, "alice", enrolment.Counted)
	w.enrol(b, "bob", enrolment.Counted)
	withdraw := func(name, digest string) *attestation.Statement {
		statement := w.rebuild("generic", name, digest)
		statement.Type, statement.Builds = attestation.Withdraw, nil
		return statement
	}
	w.attest(a, w.rebuild("generic", "hello", "1", "date", "1"))
	w.attest(b, w.rebuild("generic", "hello", "2", "date", "2"))
	w.attest(b, withdraw("hello", "2")) // for good
	w.attest(b, withdraw("date", "2"))  // for a while
	w.attest(b, w.rebuild("generic", "date", "2"))
	w.attest(a, withdraw("date", "1"))

	options := chdbtest.Database(t)
	connection := &breaking{}
	chdbtest.Through(t, options, connection.send)
	s := openStoreWith(t, options)
	connection.set("watermark", 1, false)
	if err := newIndex(t, index.Config{}, s, w.log).CatchUp(t.Context()); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	connection.set("", 0, false)
	if err := newIndex(t, index.Config{MaxEntries: 1}, s, w.log).CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := read(t.Context(), s.Current())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(modelOf(w), got, sameResult); diff != "" {
		t.Errorf("index differs from model (-model +index):\n%s", diff)
	}
}

const (
	childDirectory = "REPRONET_INDEX_TEST_DIRECTORY"
	childServer    = "REPRONET_INDEX_TEST_SERVER" // address of its database; none: it has an engine of its own
	childSeed      = 11
	childEntries   = 120
)

// TestKilled kills the process that indexes, several times, and with it the server that it writes
// to, if its engine is not in that process.
func TestKilled(t *testing.T) {
	chdbtest.Library(t) // skips where there is no engine
	dir := t.TempDir()
	server, protocol := chdbtest.Own(t)
	if server != nil {
		t.Setenv(childServer, server.URL(protocol, "repronet_killed"))
	}
	random := rand.New(rand.NewPCG(13, 0))
	const kills = 6
	for killed := 0; killed < kills; {
		if finished := runChild(t, dir, 1+random.IntN(8), time.Duration(random.IntN(60))*time.Millisecond); finished {
			t.Fatalf("it finished after %d of %d kills: the test needs a longer history", killed, kills)
		}
		killed++
		if server == nil {
			continue
		}
		_ = server.Stop() // or it has ended by itself, as it does when a client is cut off
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if !runChild(t, dir, 10_000, time.Hour) {
		t.Fatal("it did not finish")
	}
	text, err := os.ReadFile(dir + "/result")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.random(rand.New(rand.NewPCG(childSeed, 0)), childEntries)
	want, err := json.Marshal(modelOf(w))
	if err != nil {
		t.Fatal(err)
	}
	var wanted, got any
	if err := errors.Join(json.Unmarshal(want, &wanted), json.Unmarshal(text, &got)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("index differs from model (-model +index):\n%s", diff)
	}
}

// runChild indexes in a process of its own, and kills it when it has indexed
// a few batches and then a while later. It reports whether the process finished.
func runChild(t *testing.T, dir string, maxEntries int, after time.Duration) (finished bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v", strconv.Itoa(maxEntries))
	child.Env = append(os.Environ(), childDirectory+"="+dir)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	batches := 0
	for lines.Scan() {
		if lines.Text() == "batch" {
			batches++
		}
		if batches == 2 && after < time.Hour {
			time.Sleep(after)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	return child.Wait() == nil
}

// TestChild is what runChild runs.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDirectory)
	if dir == "" {
		t.Skip("run by TestKilled")
	}
	options, err := clickhouse.ParseDSN(os.Getenv(childServer))
	if os.Getenv(childServer) == "" {
		var engine *chdb.Engine
		if engine, err = chdb.Open(t.Context(), chdb.Config{Path: dir + "/engine", MaxServerMemory: 2 << 30}); err == nil {
			defer engine.Close()
			options = engine.Options("child")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.random(rand.New(rand.NewPCG(childSeed, 0)), childEntries)
	maxEntries, err := strconv.Atoi(os.Args[len(os.Args)-1])
	if err != nil {
		t.Fatal(err)
	}
	x := newIndex(t, index.Config{MaxEntries: maxEntries, Progress: func(uint64, uint64) { fmt.Println("batch") }}, s, w.log)
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := read(t.Context(), s.Current())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/result", text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReindex builds the index anew while it is read and written.
func TestReindex(t *testing.T) {
	w := newWorld(t)
	w.random(rand.New(rand.NewPCG(17, 0)), 60)
	s := openStore(t)
	x := newIndex(t, index.Config{MaxEntries: 9}, s, w.log)
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.random(rand.New(rand.NewPCG(18, 0)), 10) // what the present index has not seen
	before, release := s.Acquire()
	done := make(chan error, 1)
	go func() { done <- x.Reindex(t.Context()) }()
	for s.Current() == before {
		if _, err := before.Watermark(t.Context()); err != nil {
			t.Fatalf("reading the index while another is made: %v", err)
		}
	}
	if _, err := before.Watermark(t.Context()); err != nil {
		t.Errorf("reading what was replaced, before releasing it: %v", err)
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.random(rand.New(rand.NewPCG(19, 0)), 10)
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := read(t.Context(), s.Current())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(modelOf(w), got, sameResult); diff != "" {
		t.Errorf("index differs from model (-model +index):\n%s", diff)
	}
}
