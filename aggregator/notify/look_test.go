package notify

import (
	"testing"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
)

// target is a webhook that nothing is sent to.
const target = "https://chat.example.org/hook"

// TestToldOnce: a subscription begins at its creation, and is told each change once: over
// restarts, while its message is not delivered, and after an index was made anew.
func TestToldOnce(t *testing.T) {
	w := newWorld(t, Config{})
	w.change(api.ChangeDiverged) // 0, before anybody asked
	of := w.subscribe(admin.Wanted{Webhook: target})
	w.look()
	w.wantWaits(of.ID)
	w.change(api.ChangeUndecided) // 1, which is not wanted
	w.change(api.ChangeDiverged)  // 2
	w.change(api.ChangeFixed)     // 3
	w.look()
	w.wantWaits(of.ID, 2, 3)
	first, err := w.state.Message(t.Context(), of.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.change(api.ChangeDiverged) // 4, while the others are not delivered
	w.look()
	w.restart(w.config)
	w.look()
	if again, err := w.state.Message(t.Context(), of.ID); err != nil || again.ID != first.ID || string(again.Body) != string(first.Body) {
		t.Errorf("the message became %+v, %v", again, err)
	}
	if err := w.state.Delivered(t.Context(), of.ID, first.ID, now()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.wantWaits(of.ID, 4)
	if notice := w.waits(of.ID); notice.Data.From != 4 || notice.Data.To != 5 || notice.Data.Subscription != of.ID {
		t.Errorf("notice %+v", notice)
	}
	second, err := w.state.Message(t.Context(), of.ID)
	if err != nil || second.ID == first.ID {
		t.Errorf("the second message is %+v, %v", second, err)
	}
	if err := w.state.Delivered(t.Context(), of.ID, second.ID, now()); err != nil {
		t.Fatal(err)
	}
	size := w.size
	for w.size = range size { // an index that is made anew
		w.look()
	}
	w.size = size
	w.look()
	w.restart(w.config)
	w.look()
	w.wantWaits(of.ID)
	reads := w.reads
	w.look()
	w.look()
	if w.reads != reads {
		t.Errorf("the index was read %d times for nothing new", w.reads-reads)
	}
}

// TestDigest: a digest is made once a day, also after a time without a server, and has what
// came since the last one.
func TestDigest(t *testing.T) {
	w := newWorld(t, Config{Digest: "0 6 * * *"})
	of := w.subscribe(admin.Wanted{Webhook: target, Daily: true})
	w.change(api.ChangeDiverged)
	w.look()
	w.wantWaits(of.ID)
	due := func() {
		t.Helper()
		if err := w.state.Digest(t.Context(), of.ID, 0, now().Add(-25*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	due()
	w.change(api.ChangeFixed)
	w.restart(w.config)
	w.look()
	w.wantWaits(of.ID, 0, 1)
	if since := time.Since(w.subscription(of.ID).Digested); since > time.Hour {
		t.Errorf("the last digest was %v ago", since)
	}
	w.change(api.ChangeDiverged)
	if err := w.state.Delivered(t.Context(), of.ID, w.subscription(of.ID).Message, now()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.wantWaits(of.ID) // until tomorrow
	due()
	w.look()
	w.wantWaits(of.ID, 2)
	if err := w.state.Delivered(t.Context(), of.ID, w.subscription(of.ID).Message, now()); err != nil {
		t.Fatal(err)
	}
	due()
	w.look() // a day on which nothing changed
	if got := w.subscription(of.ID); got.Message != "" || time.Since(got.Digested) > time.Hour || got.Told != 3 {
		t.Errorf("after a day without changes: %+v", got)
	}
}

// TestManyChanges: however many outputs one entry changes, a message lists a hundred, the
// regressions among them, and says how many it leaves out.
func TestManyChanges(t *testing.T) {
	w := newWorld(t, Config{URL: "https://repro.example.org/"})
	of := w.subscribe(admin.Wanted{Set: "stable", Webhook: target})
	const many = 100_000
	for n := range uint64(many) {
		kind := api.ChangeDiverged
		if n%50_000 == 49_999 {
			kind = api.ChangeRegressed
		}
		w.turns = append(w.turns, newTurn(0, api.ChangeDiverged, in("stable", "hello", kind)))
	}
	w.size = 1
	w.look()
	notice := w.waits(of.ID)
	if notice == nil || len(notice.Data.Changes) != maxChanges || notice.Data.More != many-maxChanges {
		t.Fatalf("notice %+v", notice)
	}
	if c := notice.Data.Changes; c[0].Kind != api.ChangeRegressed || c[1].Kind != api.ChangeRegressed || c[2].Kind != api.ChangeDiverged {
		t.Errorf("first are %s, %s, %s", c[0].Kind, c[1].Kind, c[2].Kind)
	}
	if want := "https://repro.example.org/divergences?set=stable"; notice.Data.URL != want {
		t.Errorf("URL %s, want %s", notice.Data.URL, want)
	}
	m, err := w.state.Message(t.Context(), of.ID)
	if err != nil || len(m.Body) > 1<<20 {
		t.Errorf("a message of %d bytes, %v", len(m.Body), err)
	}
}
