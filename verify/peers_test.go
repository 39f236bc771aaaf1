package verify

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/peertest"
	"repronet.dev/ledger"
)

// TestHostileAggregator: an aggregator can neither keep a checker waiting nor fill its
// memory, whatever it is asked for. What is read of the log is bounded by package
// ledger.
func TestHostileAggregator(t *testing.T) {
	witness, err := ledger.NewWitnessSigner("w.example.org")
	if err != nil {
		t.Fatal(err)
	}
	_, logKey, err := note.GenerateKey(rand.Reader, "repro.example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		most int64
		ask  func(t *testing.T, a *Aggregator) error
	}{
		"log key": {4096, func(t *testing.T, a *Aggregator) error {
			key, err := a.LogKey(t.Context())
			if err == nil {
				err = (&Pins{}).PinLogKey(key)
			}
			return err
		}},
		"builder list": {64 << 20, func(t *testing.T, a *Aggregator) error {
			_, err := a.BuilderList(t.Context(), nil)
			return err
		}},
		"map proof": {64 << 20, func(t *testing.T, a *Aggregator) error {
			l := Light{Aggregator: a, Pins: &Pins{Witnesses: []string{witness.String()}, WitnessQuorum: 1}, State: t.TempDir()}
			_, _, _, err := l.proof(t.Context(), nil, "generic", "a/a")
			return err
		}},
		"map bucket": {64 << 20, func(t *testing.T, a *Aggregator) error {
			l := Light{Aggregator: a, Pins: &Pins{LogKey: logKey}, State: t.TempDir()}
			_, _, err := l.findBucket(t.Context(), Output{"generic", "a/a"})
			return err
		}},
		"ledger": {ledger.MaxAttachmentSize, func(t *testing.T, a *Aggregator) error {
			_, err := ledger.FetchAttachment(t.Context(), a.Log(), ledger.AttachmentID{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peertest.Peer{Most: test.most}.Survive(t, func(base string) error {
				a, err := Dial(base)
				if err != nil {
					t.Fatal(err)
				}
				if a.api.HTTP.Timeout <= 0 {
					t.Error("nothing bounds a request's time")
				}
				a.api.HTTP.Timeout = peertest.Patience
				return test.ask(t, a)
			})
		})
	}
}
