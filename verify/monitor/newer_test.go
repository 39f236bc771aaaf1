package monitor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/reading/readingtest"
	"repronet.dev/verify/monitor"
	"repronet.dev/verify/verifytest"
)

// TestNewerRules: a ledger by rules that this program does not know is undecided from
// there on, and nobody is convicted of a map that this program cannot compute. What
// comes before is audited as ever.
func TestNewerRules(t *testing.T) {
	for name, entry := range readingtest.Newer() {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.ledger.Attest(s.alice, verifytest.Digest(1))
			s.commit(s.ledger.Publish().Size, nothing)
			s.want()
			at := s.ledger.Append(entry.Kind, entry.Body)
			// By the newer rules, that entry is about an output.
			s.ledger.Append(ledger.MapRoot, []byte(`{"size":1,"leaves":1,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
			s.ledger.Append(ledger.MapRoot, fmt.Appendf(nil, `{"size":1,"leaves":1,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","rules":%d}`, reading.Newest+1))
			s.ledger.Publish()
			for range 2 {
				alert := s.want(monitor.Newer)[0]
				if alert.Convicts() || alert.Invalid() || !alert.Undecided() || !strings.Contains(alert.Detail, "a newer program is needed") {
					t.Errorf("%+v", alert)
				}
				s.restart()
			}
			wrong, err := filepath.Glob(filepath.Join(s.Maps, "wrong-*"))
			if err != nil || len(wrong) > 0 {
				t.Errorf("evidence against an honest ledger: %v, %v", wrong, err)
			}
			text, err := os.ReadFile(filepath.Join(s.Maps, "audited"))
			if err != nil || string(text) != fmt.Sprintf("rules %d entries %d\n", reading.Newest, at) {
				t.Errorf("audited up to %q, %v; a newer program has to audit what is behind %d", text, err, at)
			}
		})
	}
}

// TestNewerRulesHideNothingBefore: a wrong map root convicts, whatever comes after it.
func TestNewerRulesHideNothingBefore(t *testing.T) {
	s := newScene(t)
	dissent := s.ledger.Attest(s.alice, verifytest.Digest(1))
	s.commit(s.ledger.Publish().Size, dissent)
	s.ledger.Append(ledger.Rules, readingtest.NewerRules().Body)
	s.ledger.Publish()
	s.want(monitor.Newer, monitor.MapRoot)
}
