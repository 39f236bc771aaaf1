// Package submittest is an aggregator for tests of reporters: it verifies
// bundles as a real one does, keeps them in a real log, answers with real
// receipts, and can be made to fail and to lie.
package submittest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"repronet/attestation"
	"repronet/internal/wire"
	"repronet/ledger"
	logwriter "repronet/ledger/append"
	"repronet/signing"
	"repronet/signing/keys"
)

// An Aggregator answers as the protocol of package wire says.
type Aggregator struct {
	URL    string
	LogKey string // as /log/key serves it

	log *logwriter.Log
	key *logwriter.Key

	mu       sync.Mutex
	enrolled map[signing.BuilderID]signing.Key
	jobs     map[signing.Identity]signing.Keyless
	indices  map[claim]uint64
	entries  []*signing.Verified // by index
	filters  map[string][]byte
	fault    func(w http.ResponseWriter, r *http.Request) bool
	lie      func(bundle []byte, result *wire.Result)
	requests int
	joining  joining
}

type claim struct {
	builder signing.BuilderID
	payload attestation.Digest
}

// New starts an aggregator that takes statements of nobody yet.
func New(t testing.TB) *Aggregator {
	t.Helper()
	dir := t.TempDir()
	key, err := logwriter.LoadOrCreateKey(filepath.Join(dir, "key"), "log.example/test")
	if err != nil {
		t.Fatal(err)
	}
	log, err := logwriter.Open(context.Background(), logwriter.Config{
		Dir: filepath.Join(dir, "log"), Key: key, CheckpointInterval: 100 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &Aggregator{
		joining: joining{at: map[signing.BuilderID]uint64{}},
		LogKey:  key.String(), log: log, key: key,
		enrolled: make(map[signing.BuilderID]signing.Key), jobs: make(map[signing.Identity]signing.Keyless), indices: make(map[claim]uint64), filters: make(map[string][]byte),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.SubmitPath, a.submit)
	mux.HandleFunc("POST "+wire.EnrolmentsPath, a.ask)
	mux.HandleFunc("GET "+wire.EnrolmentsPath+"/{builder}", a.state)
	mux.HandleFunc("GET "+wire.LogKeyPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, a.LogKey+"\n") })
	mux.HandleFunc("GET "+wire.FilterPath("{set}"), a.filter)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.requests++
		fault := a.fault
		a.mu.Unlock()
		if fault == nil || !fault(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	a.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := log.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return a
}

// Enrol takes statements of a builder from now on.
func (a *Aggregator) Enrol(key *signing.PublicKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.enrolled[key.Builder()] = signing.Key{PublicKey: key}
}

// EnrolJob takes statements of an identity from now on.
func (a *Aggregator) EnrolJob(who signing.Identity, root *signing.TrustedRoot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs[who] = signing.Keyless{Builder: keys.NewBuilderID(who.String()), Root: root}
}

// Publish makes a package set of Nix outputs, or replaces it.
func (a *Aggregator) Publish(set string, keys ...string) {
	var prefixes [][]byte
	for _, key := range keys {
		ecosystem := "generic"
		if len(key) > 0 && key[0] == '/' {
			ecosystem = "nix"
		}
		id := attestation.NewOutputID(ecosystem, key)
		prefixes = append(prefixes, id[:wire.FilterPrefixSize])
	}
	slices.SortFunc(prefixes, bytes.Compare)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filters[set] = bytes.Join(prefixes, nil)
}

// Fail has every request go through fault, which answers it and returns true, or
// returns false; nil ends that.
func (a *Aggregator) Fail(fault func(w http.ResponseWriter, r *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// Lie has every result go through lie before it is sent; nil ends that. A lie
// that panics with http.ErrAbortHandler tears the connection there.
func (a *Aggregator) Lie(lie func(bundle []byte, result *wire.Result)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lie = lie
}

// Requests returns how many requests there were.
func (a *Aggregator) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// Statements returns what is in the log, in its order.
func (a *Aggregator) Statements() []*signing.Verified {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.entries)
}

// Receipt returns a receipt for an entry.
func (a *Aggregator) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	return a.log.Receipt(ctx, index)
}

// Append puts an entry into the log that nobody submitted.
func (a *Aggregator) Append(ctx context.Context, kind ledger.Kind, body []byte) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, nil)
	return a.log.Append(ctx, kind, body)
}

func (a *Aggregator) job(_ context.Context, who signing.Identity) (signing.Keyless, error) {
	keyless, ok := a.jobs[who]
	if !ok {
		return signing.Keyless{}, fmt.Errorf("%w: %s", signing.ErrUnknownBuilder, who)
	}
	return keyless, nil
}

func (a *Aggregator) lookup(id signing.BuilderID) (signing.Key, error) {
	key, ok := a.enrolled[id]
	if !ok {
		return signing.Key{}, fmt.Errorf("%w: %s", signing.ErrUnknownBuilder, id)
	}
	return key, nil
}

func (a *Aggregator) filter(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	list, ok := a.filters[r.PathValue("set")]
	a.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	etag := fmt.Sprintf("%q", attestation.NewOutputID("", string(list)))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(list)
}

func (a *Aggregator) submit(w http.ResponseWriter, r *http.Request) {
	body, err := decoded(r)
	if err != nil {
		Refuse(w, http.StatusBadRequest, "malformed", err.Error())
		return
	}
	bundles := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	results := make([]wire.Result, len(bundles))
	for i, bundle := range bundles {
		results[i] = a.take(r.Context(), bundle)
	}
	a.mu.Lock()
	lie := a.lie
	a.mu.Unlock()
	w.Header().Set("Content-Type", wire.LinesType)
	for i := range results {
		a.prove(r.Context(), &results[i])
		if lie != nil {
			lie(bundles[i], &results[i])
		}
		if err := json.NewEncoder(w).Encode(results[i]); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func decoded(r *http.Request) ([]byte, error) {
	reader := io.Reader(r.Body)
	var err error
	switch r.Header.Get("Content-Encoding") {
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(r.Body); err == nil {
			defer d.Close()
			reader = d
		}
	case "gzip":
		reader, err = gzip.NewReader(r.Body)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(reader, wire.MaxRequestSize))
}

// take puts a bundle into the log as ingest does: verified, and once. The
// receipt has only the index as yet.
func (a *Aggregator) take(ctx context.Context, bundle []byte) wire.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	verified, err := signing.OpenAny(ctx, bundle, a.lookup, a.job, time.Now())
	if err != nil {
		return wire.Result{Problem: wire.NewProblem(statusOf(err), "refused", err.Error())}
	}
	id := claim{verified.Builder(), verified.PayloadDigest()}
	index, duplicate := a.indices[id]
	if !duplicate {
		if index, err = a.log.Append(context.WithoutCancel(ctx), ledger.Attestation, bundle); err != nil {
			return wire.Result{Problem: wire.NewProblem(http.StatusServiceUnavailable, "unavailable", err.Error())}
		}
		a.indices[id] = index
		a.entries = append(a.entries, verified)
	}
	return wire.Result{Receipt: &ledger.Receipt{Index: index}, Duplicate: duplicate}
}

func (a *Aggregator) prove(ctx context.Context, result *wire.Result) {
	if result.Receipt == nil {
		return
	}
	receipt, err := a.log.Receipt(ctx, result.Receipt.Index)
	if err != nil {
		*result = wire.Result{Problem: wire.NewProblem(http.StatusServiceUnavailable, "unavailable", err.Error())}
		return
	}
	result.Receipt = receipt
}
