package verify_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// TestLightAhead asks for an output where the map's entry is dated ahead of this
// machine's clock: how old the map is cannot be known then.
func TestLightAhead(t *testing.T) {
	for _, test := range []struct {
		name          string
		ahead, maxAge time.Duration
		want          error
	}{
		{"a little", 10 * time.Minute, time.Hour, nil},
		{"too far", 20 * time.Minute, time.Hour, verify.ErrAhead},
		{"too far, where age does not matter", 20 * time.Minute, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := verifytest.NewLedger(t)
			alice := l.Enrol("alice")
			l.Attest(alice, verifytest.Digest(1))
			l.SetAhead(test.ahead)
			address := verifytest.Serve(t, withMap(t, l))
			aggregator, err := verify.Dial(address)
			if err != nil {
				t.Fatal(err)
			}
			light := verify.Light{Aggregator: aggregator, Pins: l.Pins(address), State: t.TempDir(), MaxAge: test.maxAge}
			_, err = light.Evidence(t.Context(), "generic", verifytest.Output)
			if !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("asked: %v, want %v", err, test.want)
			}
		})
	}
}

// withMap commits to the map of a ledger, and serves both.
func withMap(t *testing.T, l *verifytest.Ledger) http.Handler {
	t.Helper()
	c := l.Publish()
	reader := ledger.NewReader(ledger.Dir(l.Dir), l.Key.Verifier())
	sorter := outputmap.NewSorter(t.TempDir())
	defer sorter.Close()
	for record, err := range reader.Tree(c).Records(t.Context(), 0, c.Size) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := record.Entry()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := outputmap.Keys(record.Index, entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := sorter.Add(record.Index, keys...); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := outputmap.Build(filepath.Join(t.TempDir(), "map"), sorter.Pairs(nil), c.Size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { snapshot.Close() })
	body, err := snapshot.Root().Encode()
	if err != nil {
		t.Fatal(err)
	}
	answer := api.MapProof{Receipt: l.Receipt(l.Append(ledger.MapRoot, body))}
	encode := func(key attestation.OutputID) []byte {
		proof, err := snapshot.Prove(key)
		if err != nil {
			t.Fatal(err)
		}
		text, err := proof.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	answer.Output, answer.Roster = encode(attestation.NewOutputID("generic", verifytest.Output)), encode(outputmap.RosterKey())
	mux := http.NewServeMux()
	mux.Handle("/", l.Handler())
	mux.HandleFunc(api.MapProofPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.MarshalWrite(w, &answer)
	})
	return mux
}
