package filter

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet/attestation"
	"repronet/internal/wire"
)

// A server has one set, "set", that the test changes.
type server struct {
	*httptest.Server
	list     []byte
	etag     string
	kind     string
	truncate bool
	full     int // answers with a body
	asked    int
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{kind: "application/octet-stream"}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked++
		if r.URL.Path != wire.FilterPath("set") {
			http.NotFound(w, r)
			return
		}
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
	}))
	t.Cleanup(s.Close)
	return s
}

func list(keys ...string) []byte {
	var prefixes [][]byte
	for _, key := range keys {
		id := attestation.NewOutputID("generic", key)
		prefixes = append(prefixes, id[:wire.FilterPrefixSize])
	}
	slices.SortFunc(prefixes, bytes.Compare)
	return bytes.Join(prefixes, nil)
}

func (s *server) sets(t *testing.T, names ...string) *Sets {
	t.Helper()
	return &Sets{Dir: filepath.Join(t.TempDir(), "filters"), Names: names, HTTP: s.Client(), Base: s.URL}
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
	for n := range 100 {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprintf("a/%d", i))
		}
		srv.list = list(keys...)
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
	srv.list, srv.etag = list("a/1"), `"one"`
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
	srv.list, srv.etag = list("a/2"), `"two"`
	if f := load(); f.Contains("generic", "a/1") || !f.Contains("generic", "a/2") {
		t.Error("the old filter is used")
	}
}

// What cannot be brought up to date is still good for what it contains, never
// for what it does not.
func TestIncomplete(t *testing.T) {
	srv := newServer(t)
	srv.list = list("a/1")
	tests := map[string]struct {
		spoil func(*Sets)
		want  string
	}{
		"unsorted":      {func(*Sets) { srv.list = append(list("a/1"), list("a/1", "a/2")...) }, "not sorted"},
		"half a prefix": {func(*Sets) { srv.list = list("a/2")[:7] }, "whole number"},
		"a web page":    {func(*Sets) { srv.kind = "text/html" }, "text/html"},
		"torn":          {func(*Sets) { srv.truncate = true }, "unexpected EOF"},
		"server error": {func(s *Sets) {
			s.HTTP = &http.Client{Transport: failing{}}
		}, "unreachable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv.list, srv.kind, srv.truncate = list("a/1"), "application/octet-stream", false
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
	f, err := srv.sets(t, "other").Load(t.Context())
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
		for prefix := range slices.Chunk(data, wire.FilterPrefixSize) {
			want = want || bytes.Equal(prefix, id[:wire.FilterPrefixSize])
		}
		if got := (&Filter{lists: [][]byte{data}}).Contains("generic", key); got != want {
			t.Errorf("contains %v, want %v", got, want)
		}
	})
}
