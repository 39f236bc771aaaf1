package reporter_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing"
)

func desk(t *testing.T, home reporter.Home) *reporter.Desk {
	t.Helper()
	d, err := home.NewDesk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func rotate(t *testing.T, home reporter.Home, revoke bool) (*api.Enrolment, error) {
	t.Helper()
	return home.Rotate(t.Context(), reporter.Rotation{Revoke: revoke, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
}

func builder(t *testing.T, home reporter.Home) signing.BuilderID {
	t.Helper()
	config, err := home.Config()
	if err != nil {
		t.Fatal(err)
	}
	return config.Builder
}

func TestEnrol(t *testing.T) {
	a := submittest.New(t)
	a.Queue(true)
	home, p := prepare(t, a, nil)
	d := desk(t, home)
	if answer, err := d.Ask(t.Context(), reporter.Asking{Contact: "me"}); err != nil || answer.State != api.Pending {
		t.Fatalf("%+v, %v", answer, err)
	}
	a.Queue(false)
	answer, err := d.Ask(t.Context(), reporter.Asking{})
	if err != nil || answer.State != api.Enrolled || answer.Builder != p.PublicKey.Builder() {
		t.Fatalf("%+v, %v", answer, err)
	}
	if answer, err := d.State(t.Context()); err != nil || answer.State != api.Enrolled {
		t.Errorf("%+v, %v", answer, err)
	}
	put(t, home, 1)
	pass(t, open(t, home), reporter.Report{Acknowledged: 1}, "")
}

// No answer that is not proven makes a builder enrolled, or changes its key.
func TestLyingEnrolments(t *testing.T) {
	a, other := submittest.New(t), submittest.New(t)
	home, p := prepare(t, a, nil)
	if _, err := desk(t, home).Ask(t.Context(), reporter.Asking{}); err != nil {
		t.Fatal(err)
	}
	own, err := a.Receipt(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := prepare(t, other, nil)
	if _, err := desk(t, theirs).Ask(t.Context(), reporter.Asking{}); err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Receipt(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(*api.Enrolment){
		"no receipt":                func(e *api.Enrolment) { e.Receipt = nil },
		"of the old key":            func(e *api.Enrolment) { e.Receipt = own },
		"of another log":            func(e *api.Enrolment) { e.Receipt = foreign },
		"of another index":          func(e *api.Enrolment) { e.Receipt = &ledger.Receipt{Index: 9, Checkpoint: own.Checkpoint} },
		"waits":                     func(e *api.Enrolment) { e.State, e.Receipt = api.Pending, nil },
		"refused":                   func(e *api.Enrolment) { e.State, e.Receipt = api.Refused, nil },
		"a state that nobody knows": func(e *api.Enrolment) { e.State, e.Receipt = "fine", nil },
	} {
		a.LieOfEnrolment(lie)
		if answer, err := rotate(t, home, false); err == nil {
			t.Errorf("%s: rotated: %+v", name, answer)
		}
		if got := builder(t, home); got != p.PublicKey.Builder() {
			t.Fatalf("%s: the key was changed", name)
		}
	}
	a.LieOfEnrolment(nil)
	if _, err := rotate(t, home, false); err != nil {
		t.Error(err)
	}
	if builder(t, home) == p.PublicKey.Builder() {
		t.Error("the key was not changed")
	}
}

// TestRotate has statements wait that the old key signed.
func TestRotate(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	if _, err := desk(t, home).Ask(t.Context(), reporter.Asking{}); err != nil {
		t.Fatal(err)
	}
	running := open(t, home)
	put(t, home, 1)
	pass(t, running, reporter.Report{Acknowledged: 1}, "")
	a.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == api.SubmitPath {
			submittest.Refuse(w, http.StatusServiceUnavailable, "try-later", "later")
			return true
		}
		return false
	})
	put(t, home, 2)
	pass(t, running, reporter.Report{Left: 1}, "later")
	answer, err := rotate(t, home, false)
	if err != nil {
		t.Fatal(err)
	}
	a.Fail(nil)
	put(t, home, 3)
	pass(t, running, reporter.Report{Acknowledged: 2}, "")
	var builders []signing.BuilderID
	var chains []string
	for _, v := range a.Statements() {
		if v == nil {
			continue // an enrolment
		}
		builders = append(builders, v.Builder())
		chains = append(chains, v.Statement().Chain.Stream)
	}
	if len(builders) != 3 {
		t.Fatalf("%d statements arrived, want 3", len(builders))
	}
	older, newer := p.PublicKey.Builder(), answer.Builder
	for i, chain := range chains {
		want := older
		if chain != chains[0] {
			want = newer
		}
		if builders[i] != want {
			t.Errorf("statement %d of chain %s is by builder %s", i, chain, builders[i])
		}
	}
	if chains[0] == chains[1] && chains[1] == chains[2] {
		t.Error("two builders have one chain")
	}
	public, err := os.ReadFile(filepath.Join(string(home), "builder.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := signing.ParsePublicKey(public); err != nil || key.Builder() != newer {
		t.Errorf("builder.pub is not the new key's (%v)", err)
	}
	// Setting up again keeps the new key.
	if again, err := home.Prepare(t.Context(), reporter.Setup{}); err != nil || again.PublicKey.Builder() != newer {
		t.Errorf("after another init: %+v, %v", again, err)
	}
}

// TestRotateInterrupted loses the answer, after which the old key is revoked.
func TestRotateInterrupted(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	if _, err := desk(t, home).Ask(t.Context(), reporter.Asking{}); err != nil {
		t.Fatal(err)
	}
	a.LieOfEnrolment(func(*api.Enrolment) { panic(http.ErrAbortHandler) })
	if _, err := rotate(t, home, true); err == nil || builder(t, home) != p.PublicKey.Builder() {
		t.Fatalf("rotated without an answer: %v", err)
	}
	a.LieOfEnrolment(nil)
	answer, err := rotate(t, home, true)
	if err != nil {
		t.Fatal(err)
	}
	if builder(t, home) != answer.Builder {
		t.Error("the new key is not in use")
	}
	put(t, home, 1)
	pass(t, open(t, home), reporter.Report{Acknowledged: 1}, "")
}

// With what the old key signed on its way, it is not revoked.
func TestRotateRevokesNothingUndelivered(t *testing.T) {
	a := submittest.New(t)
	a.Queue(true)
	home, p := prepare(t, a, nil)
	put(t, home, 1)
	_, err := rotate(t, home, true)
	if err == nil || !strings.Contains(err.Error(), "before it is revoked") || builder(t, home) != p.PublicKey.Builder() {
		t.Errorf("rotated: %v", err)
	}
	open(t, home)
	if _, err := rotate(t, home, true); !errors.Is(err, spool.ErrLocked) {
		t.Errorf("while a run is at work: %v", err)
	}
}
