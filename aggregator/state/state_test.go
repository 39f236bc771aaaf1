package state_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/state"
	"repronet.dev/signing"
)

func open(t *testing.T, path string) *state.State {
	t.Helper()
	s, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newRequest(n int, at time.Time) state.Request {
	return state.Request{
		Builder: signing.NewBuilderID(fmt.Sprint("test:", n)), Document: []byte(fmt.Sprint(n, at.Unix())), Created: at, Received: at,
	}
}

func ask(t *testing.T, s *state.State, r, want state.Request) {
	t.Helper()
	kept, err := s.Ask(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func waiting(t *testing.T, s *state.State, now time.Time, want ...state.Request) {
	t.Helper()
	got, err := s.Requests(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
}

func TestRequests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state ?#.db")
	s := open(t, path)
	one, two := newRequest(1, start), newRequest(2, start.Add(time.Second))
	ask(t, s, two, two)
	ask(t, s, one, one)
	waiting(t, s, start, one, two)

	newer := newRequest(1, start.Add(time.Minute))
	ask(t, s, newer, newer)
	ask(t, s, one, newer) // played again
	waiting(t, s, start, two, newer)

	if found, err := s.Refuse(t.Context(), one.Builder, "no", start.Add(time.Hour)); err != nil || !found {
		t.Fatal(found, err)
	}
	refused := newer
	refused.Refusal, refused.Received = "no", start.Add(time.Hour)
	ask(t, s, newRequest(1, start.Add(2*time.Hour)), refused)
	waiting(t, s, start, two)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	waiting(t, s, start, two)
	if kept, ok, err := s.Request(t.Context(), one.Builder, start); err != nil || !ok || kept.Refusal != "no" {
		t.Errorf("after opening again: %v %v %v", kept, ok, err)
	}
	if err := s.Forget(t.Context(), two.Builder); err != nil {
		t.Fatal(err)
	}
	waiting(t, s, start)
	if found, err := s.Refuse(t.Context(), two.Builder, "no", start); err != nil || found {
		t.Errorf("a request that is not there was refused (%v)", err)
	}
}

func TestRequestsEnd(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	one := newRequest(1, start)
	ask(t, s, one, one)
	late := start.Add(state.KeepRequests + time.Second)
	waiting(t, s, late)
	if _, ok, err := s.Request(t.Context(), one.Builder, late); ok || err != nil {
		t.Errorf("found after its time (%v)", err)
	}
	two := newRequest(2, late)
	ask(t, s, two, two)
	waiting(t, s, start, two) // the first is not only hidden
}

// TestRequestsAreBounded fills the queue.
func TestRequestsAreBounded(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	for n := range state.MaxRequests {
		if _, err := s.Ask(t.Context(), newRequest(n, start)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ask(t.Context(), newRequest(state.MaxRequests, start)); !errors.Is(err, state.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	newer := newRequest(7, start.Add(time.Minute))
	ask(t, s, newer, newer) // who waits already may say more
	if _, err := s.Refuse(t.Context(), newer.Builder, "no", start); err != nil {
		t.Fatal(err)
	}
	last := newRequest(state.MaxRequests, start)
	ask(t, s, last, last)
}

func TestOpenRefusesNewerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path).Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "use a newer program") {
		t.Errorf("error %v", err)
	}
}

// TestDeletedIsGone looks for what was deleted in the bytes of all files.
func TestDeletedIsGone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "state.db"))
	secret := func(n int) []byte { return fmt.Appendf(nil, "person-%04d@example.org", n) }
	const requests = 60
	for n := range requests {
		r := newRequest(n, start)
		r.Document = bytes.Repeat(secret(n), 200) // overflows a page
		if _, err := s.Ask(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for n := range requests {
		r := newRequest(n, start.Add(time.Minute))
		switch n % 3 {
		case 0:
			if err := s.Forget(t.Context(), r.Builder); err != nil {
				t.Fatal(err)
			}
		case 1:
			if _, err := s.Ask(t.Context(), r); err != nil { // with another document
				t.Fatal(err)
			}
		}
	}
	recovered := func() (numbers []int) {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		for n := range requests {
			if bytes.Contains(all, secret(n)[:11]) {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	if err := s.Expire(t.Context(), start); err != nil { // nothing, but documents were replaced
		t.Fatal(err)
	}
	var kept []int
	for n := 2; n < requests; n += 3 {
		kept = append(kept, n)
	}
	if diff := cmp.Diff(kept, recovered()); diff != "" {
		t.Errorf("while the file is open (-want +got):\n%s", diff)
	}
	if err := s.Expire(t.Context(), start.Add(state.KeepRequests+time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := recovered(); len(got) > 0 {
		t.Errorf("recovered %d after their time", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := recovered(); len(got) > 0 {
		t.Errorf("recovered %d from the closed file", got)
	}
}

// TestOpenOverwrites opens a file of the first version, whose free pages and log still
// have what was deleted.
func TestOpenOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE requests (builder TEXT PRIMARY KEY, document BLOB NOT NULL,
			created INTEGER NOT NULL, received INTEGER NOT NULL, refusal TEXT NOT NULL) STRICT;
		CREATE INDEX requests_received ON requests (received);
		INSERT INTO requests VALUES ('gone', CAST('person@example.org' AS BLOB), 1, 1, ''), ('kept', CAST('other@example.org' AS BLOB), 1, 1, '');
		DELETE FROM requests WHERE builder = 'gone'; PRAGMA user_version = 1`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte("person@example.org")) {
		t.Fatalf("the file before has nothing to overwrite: %v", err)
	}
	s := open(t, path)
	if kept, ok, err := s.Request(t.Context(), "kept", time.Unix(2, 0)); err != nil || !ok || string(kept.Document) != "other@example.org" {
		t.Errorf("kept: %+v %v %v", kept, ok, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("person@example.org")) {
			t.Errorf("%s has what was deleted (%v)", file, err)
		}
	}
}

// TestNetworksHaveShares: one network cannot fill the queue for all others.
func TestNetworksHaveShares(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	from := func(n int, network string) state.Request {
		r := newRequest(n, start)
		r.Network = network
		return r
	}
	for n := range state.MaxOfNetwork {
		if _, err := s.Ask(t.Context(), from(n, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ask(t.Context(), from(100, "a")); !errors.Is(err, state.ErrShare) {
		t.Errorf("one more of the network: %v", err)
	}
	for i, network := range []string{"b", ""} {
		if _, err := s.Ask(t.Context(), from(200+i, network)); err != nil {
			t.Errorf("network %q: %v", network, err)
		}
	}
	if n, err := s.Waiting(t.Context(), start); err != nil || n != state.MaxOfNetwork+2 {
		t.Errorf("%d wait, %v", n, err)
	}
	if _, err := s.Refuse(t.Context(), newRequest(3, start).Builder, "no", start); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ask(t.Context(), from(100, "a")); err != nil {
		t.Errorf("after one was refused: %v", err)
	}
	prefix := string(newRequest(100, start).Builder)[:8]
	if ids, err := s.Asked(t.Context(), prefix, start); err != nil || len(ids) != 1 || ids[0] != newRequest(100, start).Builder {
		t.Errorf("asked with prefix %s: %v, %v", prefix, ids, err)
	}
}
