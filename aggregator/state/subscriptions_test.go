package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/state"
	"repronet.dev/api"
)

func newSubscription(id string) state.Subscription {
	return state.Subscription{
		ID: id, Set: "stable", Kinds: []api.ChangeKind{api.ChangeRegressed, api.ChangeFixed}, Daily: true, Email: id + "@maintainers.example.org",
		Secret: []byte{1, 2, 3}, Created: start, Told: 7, Digested: start,
	}
}

func subscribe(t *testing.T, s *state.State, of state.Subscription, first state.Message) {
	t.Helper()
	if err := s.Subscribe(t.Context(), of, first); err != nil {
		t.Fatal(err)
	}
}

func subscribed(t *testing.T, s *state.State, want ...state.Subscription) {
	t.Helper()
	got, err := s.Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
}

// TestSubscriptions: what is kept of a subscription, from its confirmation to a delivery that
// failed before, over an end of the process at each step.
func TestSubscriptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	again := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		again()
	}
	due := func(at time.Time, want int) {
		t.Helper()
		if list, err := s.Due(t.Context(), at); err != nil || len(list) != want {
			t.Errorf("due at %v: %v, %v", at, list, err)
		}
	}
	want := newSubscription("anna")
	subscribe(t, s, want, state.Message{ID: "ask", Body: []byte("please"), Told: 7})
	want.Message = "ask"
	subscribed(t, s, want)
	due(start, 1)
	do(s.ConfirmSubscription(t.Context(), "anna", start.Add(time.Hour)))
	want.Message, want.Confirmed = "", start.Add(time.Hour)
	do(s.ConfirmSubscription(t.Context(), "anna", start.Add(2*time.Hour))) // the link was followed twice
	subscribed(t, s, want)
	due(start.Add(time.Hour), 0)

	first := state.Message{ID: "first", Body: []byte("news"), Told: 12}
	do(s.Post(t.Context(), "anna", first, start.Add(3*time.Hour)))
	do(s.Post(t.Context(), "anna", state.Message{ID: "second", Told: 15}, start.Add(4*time.Hour))) // the first one is not delivered
	if m, err := s.Message(t.Context(), "anna"); err != nil || cmp.Diff(first, m) != "" {
		t.Errorf("message %+v, %v", m, err)
	}
	do(s.Failed(t.Context(), "anna", "first", "no answer", start.Add(5*time.Hour), start.Add(6*time.Hour)))
	do(s.Failed(t.Context(), "anna", "first", "still none", start.Add(6*time.Hour), start.Add(8*time.Hour)))
	want.Message, want.Digested, want.Attempts, want.Failure = "first", start.Add(3*time.Hour), 2, "still none"
	want.FailedSince, want.NextAttempt = start.Add(5*time.Hour), start.Add(8*time.Hour)
	subscribed(t, s, want)
	due(start.Add(7*time.Hour), 0)
	due(start.Add(8*time.Hour), 1)
	do(s.Delivered(t.Context(), "anna", "an older one", start.Add(9*time.Hour)))
	subscribed(t, s, want)
	do(s.Delivered(t.Context(), "anna", "first", start.Add(9*time.Hour)))
	want.Message, want.Attempts, want.Failure, want.FailedSince, want.Told, want.Delivered = "", 0, "", time.Time{}, 12, start.Add(9*time.Hour)
	subscribed(t, s, want)
	do(s.Digest(t.Context(), "anna", 10, start.Add(10*time.Hour))) // told never goes back
	want.Digested = start.Add(10 * time.Hour)
	subscribed(t, s, want)
	do(s.WithinLedger(t.Context(), 12))
	subscribed(t, s, want)
	do(s.WithinLedger(t.Context(), 9)) // which was restored from a backup
	want.Told = 9
	subscribed(t, s, want)
}

// TestUnsubscribe: who ends a subscription, or does not confirm it in time, leaves no address
// behind in the file.
func TestUnsubscribe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	for n := range 40 {
		subscribe(t, s, newSubscription(fmt.Sprintf("anna%d", n)), state.Message{ID: "ask", Body: bytes.Repeat([]byte("please"), 2000)})
	}
	if err := s.ConfirmSubscription(t.Context(), "anna0", start); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Unsubscribe(t.Context(), "anna1"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if ok, err := s.Unsubscribe(t.Context(), "anna1"); ok || err != nil {
		t.Errorf("twice: %v, %v", ok, err)
	}
	if err := s.ExpireSubscriptions(t.Context(), start.Add(state.KeepUnconfirmed)); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Subscription(t.Context(), "anna2"); !ok || err != nil {
		t.Errorf("it may still be confirmed: %v, %v", ok, err)
	}
	if err := s.ExpireSubscriptions(t.Context(), start.Add(state.KeepUnconfirmed+time.Second)); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Subscriptions(t.Context()); err != nil || len(list) != 1 || list[0].ID != "anna0" {
		t.Errorf("%v, %v", list, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 40; n++ {
		if address := fmt.Sprintf("anna%d@", n); bytes.Contains(content, []byte(address)) {
			t.Errorf("the file still has %s", address)
		}
	}
}

// TestSubscriptionsAreBounded: there is a last one.
func TestSubscriptionsAreBounded(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	for n := range state.MaxSubscriptions {
		subscribe(t, s, newSubscription(fmt.Sprint(n)), state.Message{})
	}
	if err := s.Subscribe(t.Context(), newSubscription("one more"), state.Message{}); !errors.Is(err, state.ErrManySubscriptions) {
		t.Errorf("one more: %v", err)
	}
}
