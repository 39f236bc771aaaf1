package state_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet/aggregator/state"
	"repronet/signing/keys"
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
		Builder: keys.NewBuilderID(fmt.Sprint("test:", n)), Document: []byte(fmt.Sprint(n, at.Unix())), Created: at, Received: at,
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
