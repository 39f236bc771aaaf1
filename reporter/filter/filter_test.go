package filter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/pkgset"
)

// A server has one set, "set", that the test changes, and a ledger that publishes it.
type server struct {
	*httptest.Server
	log      *writer.Log
	key      note.Verifier
	list     []byte
	etag     string
	kind     string
	truncate bool
	full     int // answers with a body
	asked    int // for the filter
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	key, err := writer.LoadOrCreateKey(filepath.Join(dir, "key"), "log.example/test")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{kind: "application/octet-stream"}
	if s.key, err = note.NewVerifier(key.String()); err != nil {
		t.Fatal(err)
	}
	s.log, err = writer.Open(t.Context(), writer.Config{
		Dir: filepath.Join(dir, "log"), Key: key, CheckpointInterval: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(api.LogPath+"/", http.StripPrefix(api.LogPath, http.FileServer(http.Dir(filepath.Join(dir, "log")))))
	mux.HandleFunc(api.FilterPath("set"), s.filter)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.Close()
		if err := s.log.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) filter(w http.ResponseWriter, r *http.Request) {
	s.asked++
	w.Header().Set("ETag", s.etag)
	if s.etag != "" && r.Header.Get("If-None-Match") == s.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.full++
	w.Header().Set("Content-Type", s.kind)
	if s.truncate {
		w.Header().Set("Content-Length", fmt.Sprint(len(s.list)+1))
	}
	w.Write(s.list)
}

// publish publishes a revision in the ledger, and serves its filter.
func (s *server) publish(t *testing.T, keys ...string) {
	t.Helper()
	s.list = list(keys...)
	entry := pkgset.Entry{Name: "set", Revision: "1", Ecosystem: "generic", Members: len(keys), SHA256: attestation.Digest{1}}
	body, err := entry.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.append(t, ledger.PackageSet, body)
}

// append writes an entry to the ledger, and has it be that of the filter.
func (s *server) append(t *testing.T, kind ledger.Kind, body []byte) {
	t.Helper()
	index, err := s.log.Append(t.Context(), kind, body)
	if err == nil {
		_, err = s.log.Receipt(t.Context(), index)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.etag = fmt.Sprintf("%q", fmt.Sprint(index))
}

func list(keys ...string) []byte {
	var prefixes [][]byte
	for _, key := range keys {
		id := attestation.NewOutputID("generic", key)
		prefixes = append(prefixes, id[:api.FilterPrefixSize])
	}
	slices.SortFunc(prefixes, bytes.Compare)
	return bytes.Join(prefixes, nil)
}

func (s *server) sets(t *testing.T, names ...string) *Sets {
	t.Helper()
	return &Sets{Dir: filepath.Join(t.TempDir(), "filters"), Names: names, API: &api.Client{HTTP: s.Client(), Base: s.URL}, LogKey: s.key}
}

// age makes a stored filter old enough to ask again.
func age(t *testing.T, s *Sets) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.path("set"), old, old); err != nil {
		t.Fatal(err)
	}
}

func TestContains(t *testing.T) {
	srv := newServer(t)
	for n := 0; n < 100; n += 1 + n/4 {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprintf("a/%d", i))
		}
		srv.publish(t, keys...)
		f, err := srv.sets(t, "set").Load(t.Context())
		if err != nil || !f.Complete() {
			t.Fatalf("%d members: %v", n, err)
		}
		for i := range 100 {
			if got, want := f.Contains("generic", fmt.Sprintf("a/%d", i)), i < n; got != want {
				t.Errorf("%d members: contains %d: %v, want %v", n, i, got, want)
			}
		}
		if f.Contains("nix", "a/0") {
			t.Error("contains an output of another ecosystem")
		}
	}
}

func TestRefresh(t *testing.T) {
	srv := newServer(t)
	srv.publish(t, "a/1")
	s := srv.sets(t, "set")
	load := func() *Filter {
		t.Helper()
		f, err := s.Load(t.Context())
		if err != nil || !f.Complete() {
			t.Fatal(f, err)
		}
		return f
	}
	load()
	load()
	if srv.asked != 1 {
		t.Errorf("asked %d times for a fresh filter", srv.asked)
	}
	age(t, s)
	load()
	load()
	if srv.asked != 2 || srv.full != 1 {
		t.Errorf("asked %d times, got it %d times; want 2 and 1", srv.asked, srv.full)
	}
	age(t, s)
	srv.publish(t, "a/2")
	if f := load(); f.Contains("generic", "a/1") || !f.Contains("generic", "a/2") {
		t.Error("the old filter is used")
	}
}

// What cannot be brought up to date is still good for what it contains, never
// for what it does not.
func TestIncomplete(t *testing.T) {
	srv := newServer(t)
	tests := map[string]struct {
		spoil func(*Sets)
		want  string
	}{
		"unsorted": {func(*Sets) {
			srv.publish(t, "a/1", "a/2")
			srv.list = slices.Concat(srv.list[api.FilterPrefixSize:], srv.list[:api.FilterPrefixSize])
		}, "not sorted"},
		"an output twice": {func(*Sets) {
			srv.publish(t, "a/1", "a/2")
			srv.list = slices.Concat(list("a/1"), list("a/1"))
		}, "each once"},
		"half a prefix": {func(*Sets) { srv.publish(t, "a/1"); srv.list = list("a/2")[:7] }, "whole number"},
		"more outputs":  {func(*Sets) { srv.publish(t, "a/1"); srv.list = list("a/1", "a/2") }, "larger than 12 bytes"},
		"fewer outputs": {func(*Sets) { srv.publish(t, "a/1"); srv.list = nil }, "it is of 0 outputs"},
		"a bomb":        {func(*Sets) { srv.publish(t, "a/1"); srv.list = make([]byte, 100<<20) }, "larger than 12 bytes"},
		"no entry":      {func(*Sets) { srv.etag = `"made up"` }, "not the quoted index"},
		"no such entry": {func(*Sets) { srv.etag = `"1000"` }, "not in a tree"},
		"another kind":  {func(*Sets) { srv.append(t, ledger.Enrolment, []byte("{}")) }, "publishes no package set"},
		"another set": {func(*Sets) {
			body, err := (&pkgset.Entry{Name: "another", Revision: "1", Ecosystem: "generic", Members: 1, SHA256: attestation.Digest{1}}).Encode()
			if err != nil {
				t.Fatal(err)
			}
			srv.append(t, ledger.PackageSet, body)
		}, "publishes package set another"},
		"another's ledger": {func(s *Sets) { srv.publish(t, "a/1"); s.LogKey = newServer(t).key }, "no verifiable signatures"},
		"a web page":       {func(*Sets) { srv.publish(t, "a/1"); srv.kind = "text/html" }, "text/html"},
		"torn":             {func(*Sets) { srv.publish(t, "a/1"); srv.truncate = true }, "unexpected EOF"},
		"server error": {func(s *Sets) {
			s.API.HTTP = &http.Client{Transport: failing{}}
		}, "unreachable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv.kind, srv.truncate = "application/octet-stream", false
			srv.publish(t, "a/1")
			s := srv.sets(t, "set")
			if _, err := s.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			age(t, s)
			tt.spoil(s)
			f, err := s.Load(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if f.Complete() || !f.Contains("generic", "a/1") {
				t.Errorf("complete %v, contains %v", f.Complete(), f.Contains("generic", "a/1"))
			}
		})
	}
	f, err := srv.sets(t, "none").Load(t.Context())
	if !errors.Is(err, ErrNoSet) || f.Complete() {
		t.Errorf("a set that is not there: %v", err)
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("unreachable")
}

// No list, however wrong, makes a search go out of it.
func FuzzContains(f *testing.F) {
	f.Add([]byte(nil), "a/1")
	f.Add(list("a/1", "a/2"), "a/1")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		if checkList(data) != nil {
			return
		}
		id := attestation.NewOutputID("generic", key)
		want := false
		for prefix := range slices.Chunk(data, api.FilterPrefixSize) {
			want = want || bytes.Equal(prefix, id[:api.FilterPrefixSize])
		}
		if got := (&Filter{lists: [][]byte{data}}).Contains("generic", key); got != want {
			t.Errorf("contains %v, want %v", got, want)
		}
	})
}
