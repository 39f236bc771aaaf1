package notify

import (
	"context"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/admin"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
)

// A world is a notifier on a real state, and an index in memory.
type world struct {
	*Notifier
	t     *testing.T
	path  string // of the state
	turns []*query.Turn
	reads int // of the index
	size  uint64
}

func newWorld(t *testing.T, config Config) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "state.db")}
	config.Size = func() uint64 { return w.size }
	config.HasSet = func(_ context.Context, name string) (bool, error) { return name == "stable", nil }
	config.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	w.restart(config)
	t.Cleanup(func() { _ = w.state.Close() })
	return w
}

// restart begins with what is on disk.
func (w *world) restart(config Config) {
	w.t.Helper()
	if w.Notifier != nil {
		if err := w.state.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	s, err := state.Open(w.t.Context(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Notifier = New(config, s)
}

// Turns implements [Source].
func (w *world) Turns(_ context.Context, from, to uint64) iter.Seq2[*query.Turn, error] {
	w.reads++
	return func(yield func(*query.Turn, error) bool) {
		for _, turn := range w.turns {
			if from <= turn.Index && turn.Index < to && !yield(turn, nil) {
				return
			}
		}
	}
}

// change has the next ledger entry change hello.
func (w *world) change(kind api.ChangeKind, in ...query.SetTurn) {
	w.turns = append(w.turns, newTurn(w.size, kind, in...))
	w.size++
}

func (w *world) look() {
	w.t.Helper()
	if err := w.Look(w.t.Context(), w, w.size); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) subscribe(wanted admin.Wanted) admin.Subscribed {
	w.t.Helper()
	added, err := w.Subscribe(w.t.Context(), wanted)
	if err != nil {
		w.t.Fatal(err)
	}
	return added
}

func (w *world) subscription(id string) *state.Subscription {
	w.t.Helper()
	of, ok, err := w.state.Subscription(w.t.Context(), id)
	if err != nil || !ok {
		w.t.Fatalf("subscription %s: %v, %v", id, ok, err)
	}
	return &of
}

// waits returns what waits to be told to a subscription; nil: nothing does.
func (w *world) waits(id string) *api.Notice {
	w.t.Helper()
	m, err := w.state.Message(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if m.ID == "" {
		return nil
	}
	var notice api.Notice
	if err := json.Unmarshal(m.Body, &notice); err != nil {
		w.t.Fatalf("%s: %v", m.Body, err)
	}
	return &notice
}

// told returns the ledger indices of the changes of a notice.
func told(notice *api.Notice) (list []uint64) {
	if notice != nil {
		for i := range notice.Data.Changes {
			list = append(list, notice.Data.Changes[i].Index)
		}
	}
	return list
}

func (w *world) wantWaits(id string, want ...uint64) {
	w.t.Helper()
	if got := told(w.waits(id)); !slices.Equal(got, want) {
		w.t.Errorf("to be told: %v, want %v", got, want)
	}
}

// attempt tries to deliver what waits for a subscription.
func (w *world) attempt(id string) *state.Subscription {
	w.t.Helper()
	if err := w.deliver(w.t.Context(), w.subscription(id)); err != nil {
		w.t.Fatal(err)
	}
	return w.subscription(id)
}
