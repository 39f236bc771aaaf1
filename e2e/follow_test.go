package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
)

// A path is the way from a follower to its writer, which can be cut, lead elsewhere, or
// change what is said on it.
type path struct {
	*httptest.Server
	to   atomic.Pointer[url.URL] // nil: it is cut
	lies atomic.Bool
}

func newPath(t *testing.T, to string) *path {
	t.Helper()
	p := &path{}
	p.lead(t, to)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(p.to.Load()) },
		ModifyResponse: func(r *http.Response) error {
			if p.lies.Load() && strings.Contains(r.Request.URL.Path, "/tile/entries/") {
				r.Body = http.NoBody
				r.Header.Del("Content-Length")
				r.ContentLength = 0
			}
			return nil
		},
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.to.Load() == nil {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *path) lead(t *testing.T, to string) {
	t.Helper()
	address, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p.to.Store(address)
}

func (p *path) cut() { p.to.Store(nil) }

// follower starts a server that follows another.
func follower(t *testing.T, of, key string) *server {
	t.Helper()
	chdbtest.Library(t)
	s := &server{log: messages(t, "a follower"), args: []string{
		"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms", "--follow", of, "--log-key", key, "--max-lag", "3s",
	}}
	if err := s.start(t.Context(), filepath.Join(t.TempDir(), "data")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-s.Ended():
		default:
			if err := s.Stop(); err != nil {
				t.Errorf("the follower ended with: %v", err)
			}
		}
	})
	return s
}

// TestFollowers: three servers follow one under load, and submissions go through one of them.
// One is killed, one is cut off and lied to, one is shown another history. At the same
// watermark they answer what the writer answers.
func TestFollowers(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, "256m")
	text, err := fetch(t.Context(), f.URL+api.LogKeyPath)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(text))
	cuttable, forkable := newPath(t, f.URL), newPath(t, f.URL)
	first, second, third := follower(t, f.URL, key), follower(t, cuttable.URL, key), follower(t, forkable.URL, key)
	all := []*server{first, second, third}
	t.Cleanup(func() { f.stop() }) // before a server ends through which it submits
	for _, s := range all {
		readiness(t, s, http.StatusOK, "")
	}

	f.stop()
	f.load.base = first.URL // which passes them on
	f.begin()
	f.taken()
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := first.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.taken()

	cuttable.cut()
	readiness(t, second, http.StatusServiceUnavailable, "was heard of last")
	before := get[*api.Summary](t, second.URL, "/summary")
	f.taken()
	if now := get[*api.Summary](t, second.URL, "/summary"); now.Indexed != before.Indexed {
		t.Errorf("cut off, it says %+v, and before %+v", now, before)
	}
	cuttable.lies.Store(true)
	cuttable.lead(t, f.URL)
	f.taken()
	if now := get[*api.Summary](t, second.URL, "/summary"); now.Indexed != before.Indexed {
		t.Errorf("lied to, it says %+v, and before %+v", now, before)
	}
	cuttable.lies.Store(false)
	readiness(t, second, http.StatusOK, "")

	f.stop()
	sameAnswers(t, f.server, all)
	for _, s := range all {
		identical(t, s)
	}

	// Another history: of the same key, after a copy of what was there.
	other := forkOf(t, f)
	caughtUp(t, third, indexed(t, f.URL).LedgerSize)
	forkable.lead(t, other.URL)
	select {
	case <-third.Ended():
	case <-time.After(time.Minute):
		t.Fatal("a follower goes on when it is shown another history")
	}
	var exit *exec.ExitError
	if err := third.Stop(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v, want status 1", err)
	}
	provenTwice(t, filepath.Join(third.Data, "replica", "convictions"), f.load)
}

// forkOf starts a server on a copy of a ledger and its key, and has other statements written
// to it and to the ledger.
func forkOf(t *testing.T, f *faulty) *server {
	t.Helper()
	s := &server{log: messages(t, "another history"), args: []string{"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms"}}
	data := filepath.Join(t.TempDir(), "data")
	mustRun(t, "mkdir", data)
	mustRun(t, "cp", "-a", f.path("ledger"), f.path("log.key"), f.path("pseudonyms.key"), data)
	if err := s.start(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, base := range []string{f.URL, s.URL} {
		statement := f.loaders[0].statement()
		statement.Reason, statement.Chain.Stream = "", ""
		statement.Chain.Sequence, statement.Chain.Previous = 0, [32]byte{}
		if base == s.URL {
			statement.Environment["os"] = "another"
		}
		bundle, err := f.loaders[0].signer.Sign(t.Context(), statement)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post(base+api.SubmitPath, api.LinesType, bytes.NewReader(bundle))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("submitting: %v, %v", response, err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// provenTwice checks the proof that is in a directory.
func provenTwice(t *testing.T, dir string, l *load) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("proofs in %s: %v, %v", dir, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var proof ledger.Conviction
	if err := json.Unmarshal(text, &proof); err != nil {
		t.Fatal(err)
	}
	if err := proof.Verify(l.key); err != nil {
		t.Errorf("the proof proves nothing: %v", err)
	}
}

// readiness waits until a server's readiness is as wanted.
func readiness(t *testing.T, s *server, status int, says string) {
	t.Helper()
	(&faulty{server: s, t: t}).until(status)
	if _, why := (&faulty{server: s, t: t}).ready(); !strings.Contains(why, says) {
		t.Errorf("readiness says %q, want %q", why, says)
	}
}

// caughtUp waits until a follower has indexed a number of entries.
func caughtUp(t *testing.T, s *server, size uint64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); indexed(t, s.URL).LedgerSize != size; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a follower has %d entries, the writer %d", indexed(t, s.URL).LedgerSize, size)
		}
	}
}

// newestTile is where the last hashes of a tree are. Partial tiles of earlier sizes a follower
// has only of those that it saw.
func newestTile(size uint64) string {
	const width = 256
	if size%width == 0 {
		return fmt.Sprintf("/tile/0/%03d", size/width-1)
	}
	return fmt.Sprintf("/tile/0/%03d.p/%d", size/width, size%width)
}

// ofTheMoment is what does not follow from how much is indexed: what a roll-up found, which each
// server makes every minute, and how long ago something was.
var ofTheMoment = regexp.MustCompile(`"flags":\[[^]]*\],"as_of":\d+|<span class="ago">[^<]*</span>`)

// sameAnswers compares what followers answer with what the writer does, when all have
// indexed the whole ledger.
func sameAnswers(t *testing.T, writer *server, followers []*server) {
	t.Helper()
	size := indexed(t, writer.URL).LedgerSize
	for _, s := range followers {
		caughtUp(t, s, size)
	}
	for _, path := range []string{
		api.SummaryPath, api.HistoryPath, api.SetsPath, api.DivergencesPath, api.BuildersPath, api.RosterPath, api.BuildsPath + "?name=load/p3-1.0",
		api.OutputsPath + "?name=load/p3-1.0^bin", api.ExportVerdictsPath, api.ExportChangesPath, api.EntriesPath + "/3",
		api.LogPath + "/checkpoint", api.LogKeyPath, api.LogPath + newestTile(size), "/builds/load/p3-1.0", "/divergences",
	} {
		want, wantErr := fetch(t.Context(), writer.URL+path)
		for _, s := range followers {
			got, err := fetch(t.Context(), s.URL+path)
			if (err == nil) != (wantErr == nil) {
				t.Errorf("%s: %v, of the writer %v", path, err, wantErr)
			}
			got = bytes.ReplaceAll(got, []byte(s.URL), []byte(writer.URL)) // in commands
			if got, want := ofTheMoment.ReplaceAll(got, nil), ofTheMoment.ReplaceAll(want, nil); !bytes.Equal(got, want) {
				t.Errorf("%s:\n%.2000s\nof the writer\n%.2000s", path, got, want)
			}
		}
	}
}
