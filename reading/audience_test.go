package reading_test

import (
	"errors"
	"testing"
	"time"

	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing/signingtest"
)

// TestAudience: a statement counts in the ledgers that it names, or in all; only in an
// entry of its kind, so that a program that knows nothing of audiences never judges
// otherwise.
func TestAudience(t *testing.T) {
	signer := signingtest.New(t)
	roster := rosterOf(t, signer)
	for name, test := range map[string]struct {
		audience   []string
		kind       ledger.Kind
		in         string
		counts     bool
		other      bool // is refused as another ledger's
		mapDiffers bool // the entry is about nothing
	}{
		"for all":                        {nil, ledger.Attestation, "a.example/log", true, false, false},
		"for all, of an unknown ledger":  {nil, ledger.Attestation, "", true, false, false},
		"for this one":                   {[]string{"b.example/log", "a.example/log"}, ledger.Addressed, "a.example/log", true, false, false},
		"for another":                    {[]string{"b.example/log"}, ledger.Addressed, "a.example/log", false, true, false},
		"for one, of an unknown ledger":  {[]string{"b.example/log"}, ledger.Addressed, "", false, true, false},
		"for this one, in an older kind": {[]string{"a.example/log"}, ledger.Attestation, "a.example/log", false, false, true},
		"for all, in the other kind":     {nil, ledger.Addressed, "a.example/log", false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := rebuildBy(t, signer, test.audience)
			e := &ledger.Entry{Kind: test.kind, ReceivedAt: time.Now(), Body: bundle}
			said, err := reading.New(roster, nil).In(test.in).Read(t.Context(), 1, e)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := said.(*reading.Statement); ok != test.counts {
				t.Errorf("it says %T: %v", said, said)
			}
			if refused, ok := said.(*reading.Refused); ok && errors.Is(refused, reading.ErrOtherLedger) != test.other {
				t.Errorf("refused: %v", refused)
			}
			named, err := reading.Peek(1, e)
			if (err != nil) != test.mapDiffers || err == nil && len(named.Outputs) != 1 {
				t.Errorf("is about %v, %v", named, err)
			}
		})
	}
}
