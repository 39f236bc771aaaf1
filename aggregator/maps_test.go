package aggregator

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/replay"
	"repronet.dev/signing"
	"repronet.dev/verify"
)

// ask asks for one output without a copy of the ledger, at an address: by its bucket, and
// by its name, which must come to the same.
func (w *world) ask(address string, pins *verify.Pins, n int, maxAge time.Duration) (*verify.Evidence, error) {
	w.t.Helper()
	light := verify.Light{Aggregator: must(verify.Dial(address)), Pins: pins, State: w.t.TempDir(), MaxAge: maxAge}
	evidence, err := light.Evidence(w.t.Context(), "nix", outputName(n))
	light.State, light.Tell = w.t.TempDir(), true
	told, toldErr := light.Evidence(w.t.Context(), "nix", outputName(n))
	if (err == nil) != (toldErr == nil) {
		w.t.Errorf("output %d: by its bucket %v, by its name %v", n, err, toldErr)
	}
	if diff := cmp.Diff(evidence, told); diff != "" {
		w.t.Errorf("output %d (-by its bucket +by its name):\n%s", n, diff)
	}
	return evidence, errors.Join(err, toldErr)
}

// A lie changes what is answered about the map.
type lie struct {
	proof  func(*api.MapProof)
	bucket func(*api.MapBucket)
}

// lying is a server in front of the world that lies about the map.
func (w *world) lying(l lie) string {
	w.t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(must(url.Parse(w.url)))
	proxy.ModifyResponse = func(r *http.Response) error {
		switch {
		case r.Request.URL.Path == api.MapProofPath:
			return changed(r, l.proof)
		case strings.HasPrefix(r.Request.URL.Path, api.MapBucketsPath):
			return changed(r, l.bucket)
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	w.t.Cleanup(server.Close)
	return server.URL
}

func changed[T any](r *http.Response, change func(*T)) error {
	var answer T
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	change(&answer)
	if text, err = json.Marshal(answer); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(text))), int64(len(text))
	r.Header.Del("Content-Length")
	return nil
}

// build builds a map of the ledger that leaves the entries out about which leave
// says so.
func (w *world) build(size uint64, leave func(index uint64) bool) *outputmap.Snapshot {
	w.t.Helper()
	sorter := outputmap.NewSorter(w.t.TempDir())
	defer sorter.Close()
	var index uint64
	for entry, err := range w.ledger.Entries(w.t.Context(), 0, size) {
		if err != nil {
			w.t.Fatal(err)
		}
		if keys, err := outputmap.Keys(index, entry); err == nil && !leave(index) {
			if err := sorter.Add(index, keys...); err != nil {
				w.t.Fatal(err)
			}
		}
		index++
	}
	snapshot := must(outputmap.Build(w.t.TempDir()+"/map", sorter.Pairs(nil), size))
	w.t.Cleanup(func() { snapshot.Close() })
	return snapshot
}

func TestMaps(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, carol := w.enrol("alice"), w.enrol("bob"), w.enrol("carol")
	w.attest(alice, 0, 500, 1)
	w.attest(bob, 0, 300, 1)
	dissent := w.attest(carol, 100, 200, 2)
	if err := w.maps.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	pins := &verify.Pins{LogKey: w.logKey}
	for operator, signer := range map[string]*signing.Signer{"alice": alice, "bob": bob, "carol": carol} {
		pins.Pin(verify.NewBuilder(signer.Public(), operator))
	}
	verdict := func(address string, n int) divergence.Verdict {
		t.Helper()
		evidence, err := w.ask(address, pins, n, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return evidence.Judgement.Verdict
	}
	check := func(want map[int]divergence.Verdict) {
		t.Helper()
		for n, want := range want {
			if got := verdict(w.url, n); got != want {
				t.Errorf("output %d: %v, want %v", n, got, want)
			}
		}
	}
	check(map[int]divergence.Verdict{10: divergence.Reproduced, 150: divergence.Diverged, 400: divergence.Single, 600: divergence.Unbuilt})

	w.attest(bob, 400, 401, 1) // behind the map
	w.attest(carol, 10, 11, 2)
	w.settle()
	check(map[int]divergence.Verdict{10: divergence.Diverged, 400: divergence.Reproduced, 401: divergence.Single})

	// The next map is built from this one, is the right one, and survives.
	before := w.log.Size()
	if err := w.maps.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.maps.commit(t.Context()); err != nil || w.log.Size() != before+1 {
		t.Errorf("a map without news was committed: %d entries, before %d; %v", w.log.Size(), before, err)
	}
	again, err := openMaps(t.Context(), w.maps.dir, time.Hour, w.log, w.ledger, w.deps.Logger)
	if err != nil || again.current == nil || again.current.Root() != w.build(before, func(uint64) bool { return false }).Root() {
		t.Errorf("after a restart the map is %+v, %v", again, err)
	}
	w.settle()
	m := w.mirror()
	if n, err := w.replay(m).CheckMaps(true); n != 2 || err != nil {
		t.Errorf("replay checked %d maps: %v", n, err)
	}

	t.Run("proof of another output", func(t *testing.T) {
		other := must(w.maps.prove(t.Context(), attestation.NewOutputID("nix", outputName(10))))
		bucket := must(w.maps.proveBucket(t.Context(), attestation.NewOutputID("nix", outputName(10)).Prefix(5)))
		address := w.lying(lie{func(p *api.MapProof) { p.Output = other.Output }, func(b *api.MapBucket) { b.Bucket = bucket.Bucket }})
		if _, err := w.ask(address, pins, 150, time.Hour); !errors.Is(err, outputmap.ErrInvalid) {
			t.Error(err)
		}
	})
	// A hidden dissent: a proof of a map without it, which no entry commits to.
	hidden := w.build(before, func(index uint64) bool { return index == dissent })
	asked := attestation.NewOutputID("nix", outputName(150))
	roster := jsontext.Value(must(must(hidden.Prove(outputmap.RosterKey())).Encode()))
	hide := lie{
		func(p *api.MapProof) { p.Output, p.Roster = must(must(hidden.Prove(asked)).Encode()), roster },
		func(b *api.MapBucket) {
			b.Bucket, b.Roster = must(must(hidden.ProveBucket(asked.Prefix(5))).Encode()), roster
		},
	}
	t.Run("proof of another map", func(t *testing.T) {
		if _, err := w.ask(w.lying(hide), pins, 150, time.Hour); !errors.Is(err, outputmap.ErrInvalid) {
			t.Error(err)
		}
	})
	t.Run("root of another entry", func(t *testing.T) {
		other := must(w.log.Receipt(t.Context(), dissent))
		address := w.lying(lie{func(p *api.MapProof) { p.Receipt = other }, func(b *api.MapBucket) { b.Receipt = other }})
		if _, err := w.ask(address, pins, 150, time.Hour); !errors.Is(err, outputmap.ErrInvalid) {
			t.Error(err)
		}
	})
	t.Run("stale root", func(t *testing.T) {
		if _, err := w.ask(w.url, pins, 150, time.Nanosecond); !errors.Is(err, verify.ErrMapTooOld) {
			t.Error(err)
		}
	})
	t.Run("uncosigned", func(t *testing.T) {
		demanding := *pins
		demanding.Witnesses, demanding.WitnessQuorum = []string{must(ledger.NewWitnessSigner("w.example.org")).String()}, 1
		if _, err := w.ask(w.url, &demanding, 150, time.Hour); !errors.Is(err, ledger.ErrNotCosigned) {
			t.Error(err)
		}
	})
	t.Run("hidden tail", func(t *testing.T) {
		old := w.log.Checkpoint().Text
		proof := must(json.Marshal(must(w.maps.prove(t.Context(), attestation.NewOutputID("nix", outputName(20))))))
		w.attest(carol, 20, 21, 2)
		light := verify.Light{Aggregator: must(verify.Dial(w.url)), Pins: pins, State: t.TempDir(), MaxAge: time.Hour, Tell: true}
		w.settle()
		evidence, err := light.Evidence(t.Context(), "nix", outputName(20))
		if err != nil || evidence.Judgement.Verdict != divergence.Diverged {
			t.Fatalf("%+v, %v", evidence, err)
		}
		// The state of before, to one who has seen the newer.
		proxy := httputil.NewSingleHostReverseProxy(must(url.Parse(w.url)))
		server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case api.LogPath + "/checkpoint":
				_, _ = out.Write(old)
			case api.MapProofPath:
				out.Header().Set("Content-Type", "application/json")
				_, _ = out.Write(proof)
			default:
				proxy.ServeHTTP(out, r)
			}
		}))
		defer server.Close()
		light.Aggregator = must(verify.Dial(server.URL))
		if _, err := light.Evidence(t.Context(), "nix", outputName(20)); !errors.Is(err, verify.ErrStale) {
			t.Errorf("an older state: %v", err)
		}
	})
	t.Run("root that omits an entry", func(t *testing.T) {
		body := must(hidden.Root().Encode())
		index := w.append(ledger.MapRoot, body)
		w.settle()
		receipt := must(w.log.Receipt(t.Context(), index))
		address := w.lying(lie{
			func(p *api.MapProof) { hide.proof(p); p.Receipt = receipt },
			func(b *api.MapBucket) { hide.bucket(b); b.Receipt = receipt },
		})
		evidence, err := w.ask(address, pins, 150, time.Hour)
		if err != nil || evidence.Judgement.Verdict != divergence.Reproduced {
			t.Fatalf("the lie is not what it should be: %+v, %v", evidence, err)
		}
		w.update(m)
		if _, err := w.replay(m).CheckMaps(false); !errors.Is(err, replay.ErrMapRoot) || !strings.Contains(err.Error(), hidden.Root().Hash.String()) {
			t.Errorf("replay of a wrong map root at ledger index %d: %v", index, err)
		}
	})
}
