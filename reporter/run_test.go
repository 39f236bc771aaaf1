package reporter_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
	"repronet.dev/reporter/submit"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing"
)

func consent() error { return nil }

// prepare makes an installation that reports to the aggregator.
func prepare(t *testing.T, a *submittest.Aggregator, change func(*reporter.Setup)) (reporter.Home, *reporter.Prepared) {
	t.Helper()
	home := reporter.Home(filepath.Join(t.TempDir(), "home"))
	s := reporter.Setup{Aggregator: a.URL, ReportAll: true, Consent: consent}
	if change != nil {
		change(&s)
	}
	p, err := home.Prepare(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return home, p
}

func output(n int) string { return fmt.Sprintf("/nix/store/%032d-package", n) }

func put(t *testing.T, home reporter.Home, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		err := home.Spool().Put(&spool.Record{
			Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR, Build: output(n) + ".drv",
			Outputs:  []spool.Output{{Key: output(n), Digest: attestation.Digest{1, byte(n)}}},
			Finished: time.Now().UTC().Truncate(time.Second), Occasion: attestation.OccasionBuild,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, home reporter.Home) *reporter.Runner {
	t.Helper()
	r, err := reporter.NewRunner(home, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// pass makes one pass and checks its report; the reasons and the error are joined in why.
func pass(t *testing.T, r *reporter.Runner, want reporter.Report, why string) {
	t.Helper()
	report, err := r.Pass(t.Context())
	got := fmt.Sprint(report.Err(), err)
	report.Reason, report.HeldReason = "", ""
	if diff := cmp.Diff(want, *report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if !strings.Contains(got, why) || why == "" && err != nil {
		t.Errorf("said %q, want %q", got, why)
	}
}

// inLog returns the outputs that the log has, in its order.
func inLog(a *submittest.Aggregator) []string {
	var names []string
	for _, v := range a.Statements() {
		if v == nil {
			continue // a package set
		}
		for _, s := range v.Statement().Subjects {
			names = append(names, s.Name)
		}
	}
	return names
}

func TestDelivers(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	if p.LogKey != a.LogKey {
		t.Errorf("pinned %q, want %q", p.LogKey, a.LogKey)
	}
	a.Enrol(p.PublicKey)
	put(t, home, 1, 2)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	pass(t, r, reporter.Report{}, "")
	put(t, home, 3)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if diff := cmp.Diff([]string{output(1), output(2), output(3)}, inLog(a)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// What is over the aggregator's budget of the day is held, and sent again: it is never
// refused for good.
func TestOverBudgetIsHeld(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	over := true
	a.Lie(func(_ []byte, result *api.Result) {
		if over {
			*result = api.Result{Problem: api.NewProblem(api.ProblemOverBudget, "The ledger took as much of it as it does in a day.")}
		}
	})
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Held: 1, Left: 1}, "as much of it as it does in a day")
	over = false
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
}

// Until the builder is enrolled its statements wait; nothing has to be done
// again after that.
func TestWaitsForEnrolment(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Held: 1, Left: 1}, "not enrolled")
	status, err := home.Spool().Status()
	if err != nil || status.Contact == nil || !strings.Contains(status.Contact.Error, "not enrolled") {
		t.Errorf("status %+v, %v: want the reason", status, err)
	}
	a.Enrol(p.PublicKey)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
}

// names reports whether a bundle's statement names an output.
func names(t *testing.T, bundle []byte, n int) bool {
	t.Helper()
	b, err := signing.ParseBundle(bundle)
	if err != nil {
		t.Error(err)
		return false
	}
	return strings.Contains(string(b.Payload), output(n))
}

// TestHeldReason: why statements are held is told apart from what else went wrong.
func TestHeldReason(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	put(t, home, 1, 1)
	first := true
	a.Lie(func(_ []byte, r *api.Result) {
		kind, detail := api.ProblemTryLater, "the disk is full"
		if first {
			kind, detail = api.ProblemClock, "in the future"
		}
		first = false
		*r = api.Result{Problem: api.NewProblem(kind, detail)}
	})
	report, err := open(t, home).Pass(t.Context())
	if err != nil || report.Held != 1 || !strings.Contains(report.HeldReason, "in the future") || !strings.Contains(report.Reason, "the disk is full") {
		t.Errorf("%+v, %v", report, err)
	}
	status, err := home.Spool().Status()
	if err != nil || !strings.Contains(status.Contact.Error, "1 statements are held: Bad Request (400): in the future") || !strings.Contains(status.Contact.Error, "the disk is full") {
		t.Errorf("contact %+v, %v", status.Contact, err)
	}
}

// TestNotEnrolledIsAskedOnce: a pass sends no more than one request's statements of a
// builder of whom the aggregator takes nothing.
func TestNotEnrolledIsAskedOnce(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	for range 2*submit.MaxBundles + 1 {
		put(t, home, 1) // no statement names an output twice
	}
	r := open(t, home)
	before := a.Requests()
	pass(t, r, reporter.Report{Held: submit.MaxBundles, Left: 2*submit.MaxBundles + 1}, "not enrolled")
	if n := a.Requests() - before; n != 1 {
		t.Errorf("%d requests", n)
	}
	a.Enrol(p.PublicKey)
	pass(t, r, reporter.Report{Acknowledged: 2*submit.MaxBundles + 1}, "")
}

func TestRefused(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	a.Lie(func(_ []byte, r *api.Result) { *r = api.Result{Problem: api.NewProblem(api.ProblemMalformed, "no")} })
	r := open(t, home)
	pass(t, r, reporter.Report{Refused: 1}, "")
	a.Lie(nil)
	put(t, home, 2)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	statements := a.Statements()
	last := statements[len(statements)-1].Statement().Chain
	if last.Sequence != 1 || len(last.Skipped) != 1 {
		t.Errorf("chain %+v, want one that skips the refused statement", last)
	}
}

// TestRequeue: what was refused is sent again when it is asked for, as it was signed,
// and the chain goes on.
func TestRequeue(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	r := open(t, home)
	if n, err := home.Spool().AskRequeue(); n != 0 || err != nil {
		t.Errorf("nothing was refused: %d, %v", n, err)
	}
	a.Lie(func(_ []byte, r *api.Result) { *r = api.Result{Problem: api.NewProblem(api.ProblemMalformed, "no")} })
	put(t, home, 1)
	pass(t, r, reporter.Report{Refused: 1}, "")
	put(t, home, 2)
	pass(t, r, reporter.Report{Refused: 1}, "")
	a.Lie(nil)
	if n, err := home.Spool().AskRequeue(); n != 2 || err != nil {
		t.Errorf("two were refused: %d, %v", n, err)
	}
	put(t, home, 3)
	pass(t, r, reporter.Report{Acknowledged: 3}, "")
	pass(t, r, reporter.Report{}, "")
	if diff := cmp.Diff([]string{output(1), output(2), output(3)}, inLog(a)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	for i, v := range a.Statements() {
		if chain := v.Statement().Chain; chain.Sequence != uint64(i) || i == 2 && len(chain.Skipped) != 0 {
			t.Errorf("statement %d: chain %+v", i, chain)
		}
	}
	if status, err := home.Spool().Status(); err != nil || len(status.Refused) != 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// A statement stays until a receipt that holds.
func TestKeepsWhatIsNotProven(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	r := open(t, home)
	a.Lie(func(_ []byte, r *api.Result) { r.Receipt.Index++ })
	pass(t, r, reporter.Report{Left: 1}, "verifying receipt")
	a.Lie(nil)
	a.Fail(submittest.Tear)
	pass(t, r, reporter.Report{Left: 1}, "EOF")
	a.Fail(func(w http.ResponseWriter, _ *http.Request) bool {
		submittest.Refuse(w, http.StatusServiceUnavailable, "unavailable", "later")
		return true
	})
	pass(t, r, reporter.Report{Left: 1}, "later")
	a.Fail(nil)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if got := inLog(a); len(got) != 1 {
		t.Errorf("in the log: %v, want it once", got)
	}
}

// A receipt by another log's key acknowledges nothing.
func TestPinnedKey(t *testing.T) {
	a, other := submittest.New(t), submittest.New(t)
	home, p := prepare(t, a, func(s *reporter.Setup) { s.LogKey = other.LogKey })
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	pass(t, open(t, home), reporter.Report{Left: 1}, "verifying receipt")
}

// Without a key, the first contact pins one, and sends nothing before.
func TestPinsOnFirstContact(t *testing.T) {
	a := submittest.New(t)
	a.Fail(submittest.Tear)
	home, p := prepare(t, a, nil)
	if p.LogKey != "" || p.LogKeyError == nil {
		t.Errorf("pinned %q, %v", p.LogKey, p.LogKeyError)
	}
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Left: 1}, "log's key")
	a.Fail(nil)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if key, err := home.LogKey(); key == nil || err != nil {
		t.Errorf("pinned %v, %v", key, err)
	}
}

func publish(t *testing.T, a *submittest.Aggregator, set string, keys ...string) {
	t.Helper()
	if err := a.Publish(t.Context(), set, keys...); err != nil {
		t.Fatal(err)
	}
}

// What is in no chosen set never leaves the machine, and what may be in one
// waits.
func TestSets(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, func(s *reporter.Setup) { s.ReportAll, s.Sets = false, []string{"one", "two"} })
	a.Enrol(p.PublicKey)
	publish(t, a, "one", output(1), output(9))
	put(t, home, 1, 2, 3)
	var sent strings.Builder
	a.Lie(func(bundle []byte, _ *api.Result) { sent.Write(bundle) })
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1, Left: 2}, "package set two")
	publish(t, a, "two", output(2), output(7))
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if diff := cmp.Diff([]string{output(1), output(2)}, inLog(a)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	status, err := home.Spool().Status()
	if err != nil || status.Retained != 1 {
		t.Errorf("%+v, %v: want 1 record retained", status, err)
	}
	if left, err := filepath.Glob(filepath.Join(string(home), "spool", "queue", "*")); len(left) != 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestRevisionAfterBuild: a build that was made before the revision that has it was
// published is reported after that, once; one that no set ever has never leaves.
func TestRevisionAfterBuild(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, func(s *reporter.Setup) { s.ReportAll, s.Sets = false, []string{"one"} })
	a.Enrol(p.PublicKey)
	publish(t, a, "one", output(1))
	put(t, home, 2, 3)
	r := open(t, home)
	pass(t, r, reporter.Report{}, "")
	publish(t, a, "one", output(2))
	aged := time.Now().Add(-time.Hour) // filters are asked for every few minutes
	if err := os.Chtimes(filepath.Join(string(home), "filters", "one.filter"), aged, aged); err != nil {
		t.Fatal(err)
	}
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	pass(t, r, reporter.Report{}, "")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	pass(t, open(t, home), reporter.Report{}, "")
	if diff := cmp.Diff([]string{output(2)}, inLog(a)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestPrepareAgain(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, func(s *reporter.Setup) { s.Operator = "alice" })
	key, err := os.ReadFile(filepath.Join(string(home), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := home.Prepare(t.Context(), reporter.Setup{Sets: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := *p.Config
	want.Report, want.Sets = reporter.ReportSets, []string{"x"}
	if diff := cmp.Diff(want, *again.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if now, err := os.ReadFile(filepath.Join(string(home), "key.pem")); string(now) != string(key) || err != nil {
		t.Errorf("the key changed (%v)", err)
	}
	// Another key would be another builder, and another log's key is somebody
	// in the middle until the volunteer says otherwise.
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, mustKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Prepare(t.Context(), reporter.Setup{Key: other}); err == nil || !strings.Contains(err.Error(), "another --dir") {
		t.Errorf("another key: %v", err)
	}
	impostor := submittest.New(t)
	if _, err := home.Prepare(t.Context(), reporter.Setup{Aggregator: impostor.URL}); err == nil || !strings.Contains(err.Error(), "--log-key") {
		t.Errorf("another log: %v", err)
	}
	if _, err := home.Prepare(t.Context(), reporter.Setup{Aggregator: impostor.URL, LogKey: impostor.LogKey}); err != nil {
		t.Errorf("another log, on purpose: %v", err)
	}
}

func TestRunUntilEnded(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	r := open(t, home)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx, 100*time.Millisecond) }()
	put(t, home, 1)
	for deadline := time.Now().Add(2 * time.Minute); len(inLog(a)) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not delivered")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// With nobody there, attempts become rare, and an aggregator's Retry-After is
// waited for.
func TestBackOff(t *testing.T) {
	a := submittest.New(t)
	home, _ := prepare(t, a, nil)
	put(t, home, 1)
	// The codec of entries holds channels, which must not be made in a bubble.
	entry, err := (&ledger.Entry{Kind: ledger.Attestation, ReceivedAt: time.Now()}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.DecodeEntry(entry); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := open(t, home)
		var at []time.Time
		start := time.Now()
		retryAfter := ""
		r.SetTransport(roundTrip(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			return &http.Response{
				StatusCode: 503, Status: "503 Later", Body: http.NoBody, Header: http.Header{"Retry-After": {retryAfter}},
			}, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.Run(ctx, time.Second); err != nil {
			t.Error(err)
		}
		if len(at) < 12 || len(at) > 30 {
			t.Errorf("%d attempts in an hour, want about 15 to 24", len(at))
		}
		for i, want := range []time.Duration{0, 5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second} {
			if i == 0 {
				if at[0] != start {
					t.Errorf("first attempt after %v", at[0].Sub(start))
				}
				continue
			}
			if got := at[i].Sub(at[i-1]); got < want || got > 2*want {
				t.Errorf("attempt %d after %v, want %v to %v", i, got, want, 2*want)
			}
		}
		at, retryAfter = nil, "1000"
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.Run(ctx, time.Second); err != nil {
			t.Error(err)
		}
		if len(at) != 4 {
			t.Errorf("%d attempts in an hour, want 4", len(at))
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
