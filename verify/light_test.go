package verify_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
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
			for _, tell := range []bool{false, true} {
				light := verify.Light{Aggregator: aggregator, Pins: l.Pins(address), State: t.TempDir(), MaxAge: test.maxAge, Tell: tell}
				_, err = light.Evidence(t.Context(), "generic", verifytest.Output)
				if !errors.Is(err, test.want) || test.want == nil && err != nil {
					t.Errorf("asked: %v, want %v", err, test.want)
				}
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
	id := attestation.NewOutputID("generic", verifytest.Output)
	answer.Output, answer.Roster = encode(id), encode(outputmap.RosterKey())
	bucket, err := snapshot.ProveBucket(id.Prefix(5))
	if err != nil {
		t.Fatal(err)
	}
	inBucket := api.MapBucket{Receipt: answer.Receipt, Roster: answer.Roster}
	if inBucket.Bucket, err = bucket.Encode(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", l.Handler())
	for path, document := range map[string]any{api.MapProofPath: &answer, api.MapBucketPath(id.Prefix(5)): &inBucket} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.MarshalWrite(w, document)
		})
	}
	return mux
}

// TestLightOfAnOldAggregator: where an output cannot be asked for without telling, it is not
// asked for at all.
func TestLightOfAnOldAggregator(t *testing.T) {
	l := verifytest.NewLedger(t)
	l.Attest(l.Enrol("alice"), verifytest.Digest(1))
	handler := withMap(t, l)
	var told atomic.Bool
	address := verifytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, api.MapBucketsPath) {
			http.NotFound(w, r)
			return
		}
		told.Store(told.Load() || strings.Contains(r.URL.RawQuery, "hello"))
		handler.ServeHTTP(w, r)
	}))
	aggregator, err := verify.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	light := verify.Light{Aggregator: aggregator, Pins: l.Pins(address), State: t.TempDir()}
	if _, err := light.Evidence(t.Context(), "generic", verifytest.Output); !errors.Is(err, verify.ErrTelling) || told.Load() {
		t.Errorf("%v, told: %t", err, told.Load())
	}
	light.Tell = true
	if _, err := light.Evidence(t.Context(), "generic", verifytest.Output); err != nil || !told.Load() {
		t.Errorf("%v, told: %t", err, told.Load())
	}
	light.Tell, light.Bits = false, 8
	if _, err := light.Evidence(t.Context(), "generic", verifytest.Output); err == nil {
		t.Error("8 bits name a bucket")
	}
}
