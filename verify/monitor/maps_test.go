package monitor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
	"repronet.dev/signing/signingtest"
	"repronet.dev/verify/monitor"
	"repronet.dev/verify/verifytest"
)

// root computes the map of the ledger's first size entries without one of them.
func (s *scene) root(size, without uint64) outputmap.Root {
	s.t.Helper()
	root, err := outputmap.Sum(s.pairs(size, without).Pairs(nil), size)
	if err != nil {
		s.t.Fatal(err)
	}
	return root
}

// pairs are those of the ledger's first size entries without one of them.
func (s *scene) pairs(size, without uint64) *outputmap.Sorter {
	s.t.Helper()
	sorter := outputmap.NewSorter(s.t.TempDir())
	s.t.Cleanup(func() { sorter.Close() })
	tree := ledger.NewReader(ledger.Dir(s.ledger.Dir), nil).Local(size)
	for record, err := range tree.Records(s.t.Context(), 0, size) {
		if err != nil {
			s.t.Fatal(err)
		}
		entry, err := record.Entry()
		if err != nil {
			s.t.Fatal(err)
		}
		if keys, err := outputmap.Keys(record.Index, entry); err == nil && record.Index != without {
			if err := sorter.Add(record.Index, keys...); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return sorter
}

const nothing = 1 << 62 // is left out

// commit commits to the map of all entries but one.
func (s *scene) commit(size, without uint64) (index uint64) {
	s.t.Helper()
	body, err := s.root(size, without).Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	index = s.ledger.Append(ledger.MapRoot, body)
	s.ledger.Publish()
	return index
}

// restart forgets what is not on disk.
func (s *scene) restart() { s.Monitor = monitor.New(s.Config) }

func TestMapRoots(t *testing.T) {
	s := newScene(t)
	for round := range 6 {
		s.ledger.Attest(s.alice, verifytest.Digest(byte(round)))
		size := s.ledger.Publish().Size
		for range round * 3 { // some at once, more than are computed in a round
			s.commit(size-uint64(round%2), nothing)
		}
		s.want()
		if round%2 == 1 {
			s.restart()
		}
	}
	kept, err := os.ReadDir(s.Maps)
	if err != nil || len(kept) != 2 {
		t.Errorf("kept %v, %v; want one map, and how far it goes", kept, err)
	}
	// What is kept can be lost.
	if err := os.RemoveAll(s.Maps); err != nil {
		t.Fatal(err)
	}
	s.restart()
	s.want()
}

// The newest root is always computed, however many there are.
func TestMapRootThatOmitsAnEntry(t *testing.T) {
	for name, many := range map[string]int{"alone": 0, "after others": 3, "after many": 30} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			dissent := s.ledger.Attest(s.alice, verifytest.Digest(1))
			s.ledger.Attest(s.alice, verifytest.Digest(2))
			size := s.ledger.Publish().Size
			for range many {
				s.commit(size, nothing)
			}
			index := s.commit(size, dissent)
			alert := s.want(monitor.MapRoot)[0]
			if !alert.Convicts() || !alert.Invalid() {
				t.Errorf("%+v does not convict", alert)
			}
			text, err := os.ReadFile(alert.Evidence)
			if err != nil {
				t.Fatal(err)
			}
			var evidence monitor.WrongRoot
			if err := json.Unmarshal(text, &evidence); err != nil {
				t.Fatal(err)
			}
			// The log's key signed the entry, and the map is another.
			entry, err := evidence.Receipt.Verify(s.ledger.Key.Verifier())
			if err != nil || entry.Kind != ledger.MapRoot || evidence.Receipt.Index != index {
				t.Fatalf("the receipt is of %+v, %v", entry, err)
			}
			root, err := reading.ParseMapRoot(index, entry.Body)
			if err != nil || root == *evidence.Computed || *evidence.Computed != s.root(size, nothing) {
				t.Errorf("committed to %+v, computed %+v; %v", root, evidence.Computed, err)
			}
			s.want(monitor.MapRoot) // it does not pass
			s.restart()
			s.want(monitor.MapRoot)
		})
	}
}

// TestAuditOfOtherRules: neither how far a program of other rules audited, nor its map, nor
// what it found wrong is gone on from. Release 0.1.0 noted no rules.
func TestAuditOfOtherRules(t *testing.T) {
	for name, form := range map[string]struct{ audited, rules string }{
		"release 0.1.0": {"%d\n", ""},
		"older rules":   {fmt.Sprintf("rules %d entries %%d\n", reading.Newest-1), fmt.Sprintf(`"rules":%d,`, reading.Newest-1)},
		"newer rules":   {fmt.Sprintf("rules %d entries %%d\n", reading.Newest+1), fmt.Sprintf(`"rules":%d,`, reading.Newest+1)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			dissent := s.ledger.Attest(s.alice, verifytest.Digest(1))
			s.ledger.Attest(s.alice, verifytest.Digest(2))
			size := s.ledger.Publish().Size
			right := s.commit(size, nothing)
			body, err := s.root(size, nothing).Encode()
			if err != nil {
				t.Fatal(err)
			}
			for range 60 { // of which few are chosen
				s.ledger.Append(ledger.MapRoot, body)
			}
			wrong := s.commit(size, dissent)
			s.plant(right, form.rules)
			if snapshot, err := outputmap.Build(filepath.Join(s.Maps, fmt.Sprint(size)), s.pairs(size, dissent).Pairs(nil), size); err != nil || snapshot.Close() != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(s.Maps, "audited"), fmt.Appendf(nil, form.audited, wrong+1), 0o600); err != nil {
				t.Fatal(err)
			}
			s.restart()
			if alert := s.want(monitor.MapRoot)[0]; alert.Evidence != filepath.Join(s.Maps, fmt.Sprintf("wrong-%d.json", wrong)) {
				t.Errorf("%+v", alert)
			}
			if _, err := os.Stat(filepath.Join(s.Maps, fmt.Sprintf("wrong-%d.json", right))); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what is not wrong by the rules of today is kept: %v", err)
			}
		})
	}
}

// plant keeps a finding against a root, as a program of other rules does.
func (s *scene) plant(index uint64, rules string) {
	s.t.Helper()
	receipt, err := json.Marshal(s.ledger.Receipt(index))
	if err == nil {
		err = os.MkdirAll(s.Maps, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Maps, fmt.Sprintf("wrong-%d.json", index)), fmt.Appendf(nil, `{"finding":"planted",%s"receipt":%s}`, rules, receipt), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestMapRootThatCannotBe(t *testing.T) {
	s := newScene(t)
	s.ledger.Append(ledger.MapRoot, []byte(`{"size":999,"leaves":0,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	s.ledger.Publish()
	s.want(monitor.MapRoot)
}

// A builder list that lacks a revocation, or is as it was before it.
func TestBuilderList(t *testing.T) {
	s := newScene(t)
	bob := s.ledger.Enrol("bob")
	before := s.ledger.Builders()
	s.want()
	s.ledger.Revoke(bob.Public().Builder(), enrolment.FromNow)
	s.ledger.Publish()
	s.want()
	list := s.ledger.Builders()
	list.Builders[1].RevokedFrom = nil
	for name, list := range map[string]api.Roster{"rolled back": before, "without the revocation": list} {
		honest := s.ledger.Handler()
		s.show(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == api.RosterPath {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(list)
				return
			}
			honest.ServeHTTP(w, r)
		}))
		if alert := s.want(monitor.Builders)[0]; !alert.Invalid() {
			t.Errorf("%s: %+v", name, alert)
		}
	}
}

// A revocation that reaches back takes away what the builder said before.
func TestBackDatedRevocation(t *testing.T) {
	s := newScene(t)
	first := s.acknowledge(s.ledger, 1)
	second := s.acknowledge(s.ledger, 2)
	s.want()
	s.ledger.Revoke(s.alice.Public().Builder(), enrolment.FromNow)
	s.ledger.Publish()
	s.want() // takes nothing away
	s.ledger.Revoke(signingtest.New(t).Public().Builder(), 0)
	s.ledger.Publish()
	s.want() // another's
	s.ledger.Revoke(s.alice.Public().Builder(), first+1)
	s.ledger.Publish()
	if alert := s.want(monitor.Revoked)[0]; !strings.Contains(alert.Detail, "takes 1 of its earlier statements away") || alert.Invalid() {
		t.Errorf("%d is taken away, and the alert is %+v", second, alert)
	}
	s.restart()
	s.want(monitor.Revoked)
}
