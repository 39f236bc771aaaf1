package reporter_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/reporter"
	"repronet.dev/reporter/submittest"
)

// TestRestoredLedger: a reporter whose aggregator was restored from a backup says so,
// keeps the proof, and submits again what was lost, once.
func TestRestoredLedger(t *testing.T) {
	for name, also := range map[string]func(t *testing.T, a *submittest.Aggregator){
		"shorter than what was seen": func(*testing.T, *submittest.Aggregator) {},
		"grown beyond it": func(t *testing.T, a *submittest.Aggregator) {
			for range 5 {
				if _, err := a.Append(t.Context(), "other", []byte(t.Name())); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := a.Receipt(t.Context(), 5); err != nil { // it is published
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := submittest.New(t)
			home, p := prepare(t, a, nil)
			a.Enrol(p.PublicKey)
			r := open(t, home)
			put(t, home, 1)
			pass(t, r, reporter.Report{Acknowledged: 1}, "")
			backup := a.Backup(t)
			for n := 2; n <= 3; n++ {
				put(t, home, n)
				pass(t, r, reporter.Report{Acknowledged: 1}, "")
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			a.Restore(t, backup)
			also(t, a)
			r = open(t, home)
			pass(t, r, reporter.Report{Acknowledged: 2, Lost: 2}, "")
			pass(t, r, reporter.Report{}, "")
			put(t, home, 4)
			pass(t, r, reporter.Report{Acknowledged: 1}, "")
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			pass(t, open(t, home), reporter.Report{}, "") // which compares again
			var names []string
			for _, v := range a.Statements() {
				if v != nil {
					names = append(names, v.Statement().Subjects[0].Name)
				}
			}
			if diff := cmp.Diff([]string{output(1), output(2), output(3), output(4)}, names); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			status, err := home.Spool().Status()
			if err != nil {
				t.Fatal(err)
			}
			if status.Acknowledged.Statements != 4 || status.Copies != 4 || status.Outbox != 0 {
				t.Errorf("status %+v", status)
			}
			if len(status.Problems) == 0 || !strings.Contains(status.Problems[0].Message, "2 statements are sent again") {
				t.Errorf("problems %+v", status.Problems)
			}
			if len(status.Convictions) == 0 {
				t.Fatal("no proof is kept")
			}
			key, err := home.LogKey()
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range status.Convictions {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var proof ledger.Conviction
				if err := json.Unmarshal(text, &proof); err != nil {
					t.Fatal(err)
				}
				if err := proof.Verify(key); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestRestoredWhileIdle: a reporter that has nothing to send notices too.
func TestRestoredWhileIdle(t *testing.T) {
	t.Parallel()
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	backup := a.Backup(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	r := open(t, home)
	go func() { done <- r.Run(ctx, 20*time.Millisecond) }()
	put(t, home, 1)
	logged := func() {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); len(inLog(a)) == 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("not delivered")
			}
		}
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			status, err := home.Spool().Status()
			if err != nil {
				t.Fatal(err)
			}
			if status.Outbox == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("not settled")
			}
		}
	}
	logged()
	a.Restore(t, backup)
	logged()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAnotherLedger: an installation that reports elsewhere from now on sends nothing of
// before there.
func TestAnotherLedger(t *testing.T) {
	a, other := submittest.New(t), submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	other.Enrol(p.PublicKey)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Prepare(t.Context(), reporter.Setup{Aggregator: other.URL, LogKey: other.LogKey}); err != nil {
		t.Fatal(err)
	}
	put(t, home, 2)
	pass(t, open(t, home), reporter.Report{Acknowledged: 1}, "")
	if diff := cmp.Diff([]string{output(2)}, inLog(other)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// noCheckpoint makes the ledger unreadable, while statements are acknowledged.
func noCheckpoint(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/checkpoint") {
		return false
	}
	http.Error(w, "not now", http.StatusServiceUnavailable)
	return true
}

// TestAnotherLedgerUnseen: that holds too where the former ledger could never be compared
// with what it acknowledged, and where the key of the new one is known only at first contact.
func TestAnotherLedgerUnseen(t *testing.T) {
	a, other := submittest.New(t), submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	other.Enrol(p.PublicKey)
	for n, unseen := range []bool{true, false} {
		if unseen {
			a.Fail(noCheckpoint)
		}
		put(t, home, 1+2*n)
		r := open(t, home)
		pass(t, r, reporter.Report{Acknowledged: 1}, "")
		if err := errors.Join(r.Close(), os.Remove(filepath.Join(string(home), "log.key"))); err != nil {
			t.Fatal(err)
		}
		other.Fail(submittest.Tear)
		if _, err := home.Prepare(t.Context(), reporter.Setup{Aggregator: other.URL}); err != nil {
			t.Fatal(err)
		}
		other.Fail(nil)
		put(t, home, 2+2*n)
		r = open(t, home)
		pass(t, r, reporter.Report{Acknowledged: 1}, "")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		a.Fail(nil)
		if _, err := home.Prepare(t.Context(), reporter.Setup{Aggregator: a.URL, LogKey: a.LogKey}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{output(2), output(4)}, inLog(other)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// TestCopiesOfOlderRelease: copies beside which an older release kept no ledger's name stay,
// if the checkpoint that was seen is of this ledger.
func TestCopiesOfOlderRelease(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if err := errors.Join(r.Close(), os.Remove(filepath.Join(string(home), "spool", "ledger"))); err != nil {
		t.Fatal(err)
	}
	pass(t, open(t, home), reporter.Report{}, "")
	if status, err := home.Spool().Status(); err != nil || status.Copies != 1 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestProofCannotBeKept: what the ledger lost is sent again also while the proof that it
// signed two histories cannot be kept, and the proof is kept when that is possible.
func TestProofCannotBeKept(t *testing.T) {
	for name, seen := range map[string]bool{"two checkpoints": true, "two entries": false} {
		t.Run(name, func(t *testing.T) {
			a := submittest.New(t)
			home, p := prepare(t, a, nil)
			a.Enrol(p.PublicKey)
			backup := a.Backup(t)
			put(t, home, 1)
			r := open(t, home)
			pass(t, r, reporter.Report{Acknowledged: 1}, "")
			convictions := filepath.Join(string(home), "spool", "convictions")
			if err := errors.Join(r.Close(), os.WriteFile(convictions, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			if !seen {
				if err := os.Remove(filepath.Join(string(home), "spool", "seen")); err != nil {
					t.Fatal(err)
				}
			}
			a.Restore(t, backup)
			for range 3 {
				if _, err := a.Append(t.Context(), "other", []byte(t.Name())); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := a.Receipt(t.Context(), 2); err != nil { // it is published
				t.Fatal(err)
			}
			r = open(t, home)
			pass(t, r, reporter.Report{Acknowledged: 1, Lost: 1}, "is not a directory")
			if err := os.Remove(convictions); err != nil {
				t.Fatal(err)
			}
			pass(t, r, reporter.Report{}, "")
			if status, err := home.Spool().Status(); err != nil || len(status.Convictions) != 1 {
				t.Errorf("%+v, %v", status, err)
			}
			pass(t, r, reporter.Report{}, "")
			if diff := cmp.Diff([]string{output(1)}, inLog(a)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFreshUntilSentAgain: what a ledger acknowledged of another history, at an index before
// the checkpoint that was seen, is looked at until it is in the outbox again.
func TestFreshUntilSentAgain(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	others := func() {
		t.Helper()
		for range 2 {
			if _, err := a.Append(t.Context(), "other", []byte(t.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	empty := a.Backup(t)
	others()
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	first := a.Backup(t)
	a.Restore(t, empty)
	a.Fail(noCheckpoint)
	put(t, home, 2)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	others()
	a.Restore(t, first)
	outbox := filepath.Join(string(home), "spool", "outbox")
	a.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/checkpoint") { // the audit begins
			if err := errors.Join(os.RemoveAll(outbox), os.WriteFile(outbox, nil, 0o600)); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if report, err := r.Pass(t.Context()); err == nil || report.Lost != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	a.Fail(nil)
	if err := errors.Join(os.Remove(outbox), os.Mkdir(outbox, 0o700)); err != nil {
		t.Fatal(err)
	}
	if report, _ := r.Pass(t.Context()); report.Lost != 1 {
		t.Errorf("%+v", report)
	}
	if status, err := home.Spool().Status(); err != nil || len(status.Convictions) != 1 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestSuspicionStays: a suspicion that could not be looked into is looked into by the next
// pass. What is held then is counted once.
func TestSuspicionStays(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	backup := a.Backup(t)
	put(t, home, 1)
	put(t, home, 1) // in another statement
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 2}, "")
	a.Restore(t, backup)
	a.Fail(noCheckpoint)
	put(t, home, 3)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	a.Fail(nil)
	a.Lie(func(bundle []byte, result *api.Result) {
		if names(t, bundle, 4) {
			*result = api.Result{Problem: api.NewProblem(api.ProblemClock, "in the future")}
		}
	})
	put(t, home, 4)
	pass(t, r, reporter.Report{Acknowledged: 2, Lost: 2, Held: 1, Left: 1}, "in the future")
}

// TestOlderLedgerWithoutLoss: receipts are read only where something was lost.
func TestOlderLedgerWithoutLoss(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	backup := a.Backup(t)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	a.Restore(t, backup)
	receipts := filepath.Join(string(home), "spool", "receipts.jsonl")
	if err := errors.Join(os.RemoveAll(filepath.Join(string(home), "spool", "sent")), os.Remove(receipts), os.Symlink("none", receipts)); err != nil {
		t.Fatal(err)
	}
	pass(t, open(t, home), reporter.Report{}, "")
}

// TestClockHeld: what is refused for its time, by an aggregator of any version, stays and
// is sent again.
func TestClockHeld(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	a.Lie(func(_ []byte, r *api.Result) {
		*r = api.Result{Problem: &api.Problem{Type: api.ProblemsPath + "#clock", Status: 400, Title: "Bad Request", Detail: "build 0 is in the future"}}
	})
	r := open(t, home)
	pass(t, r, reporter.Report{Held: 1, Left: 1}, "in the future")
	status, err := home.Spool().Status()
	if err != nil || status.Contact.Held != 1 || len(status.Refused) != 0 || !strings.Contains(status.Contact.Error, "in the future") {
		t.Errorf("%+v, %v", status, err)
	}
	a.Lie(nil)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if status, err = home.Spool().Status(); err != nil || status.Contact.Held != 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestCopiesAreBounded: a copy is deleted when it is old, also where nothing can be
// delivered.
func TestCopiesAreBounded(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(string(home), "spool", "sent", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("copies %q, %v", files, err)
	}
	old := time.Now().Add(-31 * 24 * time.Hour)
	if err := os.Chtimes(files[0], old, old); err != nil {
		t.Fatal(err)
	}
	put(t, home, 2)
	a.Fail(submittest.Tear)
	pass(t, open(t, home), reporter.Report{Left: 1}, "EOF")
	if status, err := home.Spool().Status(); err != nil || status.Copies != 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestSweepsKeys: what a process that was killed left of a key is gone after a start.
func TestSweepsKeys(t *testing.T) {
	a := submittest.New(t)
	home, _ := prepare(t, a, nil)
	left := filepath.Join(string(home), ".tmp-1")
	if err := os.WriteFile(left, []byte("a private key"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	open(t, home)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("it is still there (%v)", err)
	}
}

// TestAudience: statements name the ledger that they are submitted to, if that is chosen.
func TestAudience(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, func(s *reporter.Setup) { s.Audience = reporter.AudienceLedger })
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	pass(t, open(t, home), reporter.Report{Acknowledged: 1}, "")
	if diff := cmp.Diff([]string{"log.example/test"}, a.Statements()[0].Statement().Audience); diff != "" {
		t.Errorf("audience (-want +got):\n%s", diff)
	}
	if _, err := home.Prepare(t.Context(), reporter.Setup{Audience: "nobody"}); err == nil {
		t.Error("an audience of another form is taken")
	}
}
