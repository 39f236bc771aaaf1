package verify_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// listing serves a ledger with another builder list.
func listing(l *verifytest.Ledger, list api.Roster) http.Handler {
	honest := l.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != api.RosterPath {
			honest.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	})
}

// checkBuilders asks a server for its builder list, as repronet-verify pin does.
func checkBuilders(t *testing.T, l *verifytest.Ledger, handler http.Handler, state string) ([]verify.Builder, error) {
	t.Helper()
	aggregator, err := verify.Dial(verifytest.Serve(t, handler))
	if err != nil {
		t.Fatal(err)
	}
	list, err := aggregator.BuilderList(t.Context(), l.Key.Verifier())
	if err != nil {
		return nil, err
	}
	light := verify.Light{Aggregator: aggregator, Pins: l.Pins(), State: state}
	if err := light.CheckBuilders(t.Context(), list); err != nil {
		return nil, err
	}
	return aggregator.Builders(t.Context(), list)
}

// A list from before a revocation is refused by whoever has seen the ledger since:
// in an earlier list, or in a mirror.
func TestRolledBackBuilderList(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	l.Enrol("bob")
	before := l.Builders()
	state := t.TempDir()
	if got, err := checkBuilders(t, l, listing(l, before), state); err != nil || len(got) != 2 {
		t.Fatalf("at first: %v, %v", got, err)
	}
	l.Revoke(alice.Public().Builder(), 0)
	if got, err := checkBuilders(t, l, l.Handler(), state); err != nil || len(got) != 1 {
		t.Fatalf("after the revocation: %v, %v", got, err)
	}
	if got, err := checkBuilders(t, l, listing(l, before), state); !errors.Is(err, verify.ErrStale) {
		t.Errorf("the list of before: %v, %v; want ErrStale", got, err)
	}

	dir := t.TempDir()
	m := openMirror(t, dir, l)
	if err := l.Pins(l.Serve()).Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	closeMirror(t, m)
	if got, err := checkBuilders(t, l, listing(l, before), dir); !errors.Is(err, verify.ErrStale) {
		t.Errorf("the list of before, to one with a mirror: %v, %v; want ErrStale", got, err)
	}

	// The whole ledger, as it was before.
	shown := verifytest.Replacing(listing(l, before), "checkpoint", []byte(before.Checkpoint))
	if got, err := checkBuilders(t, l, shown, state); !errors.Is(err, verify.ErrStale) {
		t.Errorf("the ledger of before: %v, %v; want ErrStale", got, err)
	}
}

// A list that is not the fold of the ledger is refused, by one who sees it for the
// first time.
func TestBuilderListIsTheLedgers(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	l.Enrol("bob")
	l.Revoke(alice.Public().Builder(), 0)
	l.Fill(300, "filler")
	twin := l.Twin()
	mallory := twin.Enrol("mallory")
	foreign := twin.Builders()
	if _, err := checkBuilders(t, l, l.Handler(), t.TempDir()); err != nil {
		t.Fatalf("the honest list: %v", err)
	}
	for name, test := range map[string]struct {
		change func(b *api.Roster)
		want   error
	}{
		"one is left out":      {func(b *api.Roster) { b.Builders = b.Builders[:1] }, verify.ErrBuilders},
		"one is slipped in":    {func(b *api.Roster) { b.Builders = append(b.Builders, foreign.Builders...) }, verify.ErrBuilders},
		"another operator":     {func(b *api.Roster) { b.Builders[1].Operator = "alice" }, verify.ErrBuilders},
		"another key":          {func(b *api.Roster) { b.Builders[1].PublicKey = mallory.Public().DER() }, verify.ErrBuilders},
		"another tier":         {func(b *api.Roster) { b.Builders[1].Tier = "open" }, verify.ErrBuilders},
		"a revocation is kept": {func(b *api.Roster) { b.Builders[0].RevokedFrom = nil }, verify.ErrBuilders},
		"another order":        {func(b *api.Roster) { b.Builders[0], b.Builders[1] = b.Builders[1], b.Builders[0] }, verify.ErrBuilders},
		"no checkpoint":        {func(b *api.Roster) { b.Checkpoint = "" }, ledger.ErrInvalid},
		"of another history":   {func(b *api.Roster) { *b = foreign }, ledger.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			list := l.Builders()
			test.change(&list)
			if got, err := checkBuilders(t, l, listing(l, list), t.TempDir()); !errors.Is(err, test.want) {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
	list := l.Builders()
	list.Size--
	if got, err := checkBuilders(t, l, listing(l, list), t.TempDir()); err == nil {
		t.Errorf("a size that is not the checkpoint's: %v", got)
	}
}
