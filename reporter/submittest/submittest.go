// Package submittest is an aggregator for tests of reporters: it verifies
// bundles as a real one does, keeps them in a real log, answers with real
// receipts, and can be made to fail and to lie.
package submittest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// An Aggregator answers as the protocol of package wire says.
type Aggregator struct {
	URL    string
	LogKey string // as /log/key serves it

	key *writer.Key
	dir string // of the log

	mu       sync.Mutex
	log      *writer.Log
	enrolled map[signing.BuilderID]signing.Key
	jobs     map[signing.Identity]sigstore.Keyless
	indices  map[claim]uint64
	entries  []*sigstore.Verified // by index
	filters  map[string]filter
	fault    func(w http.ResponseWriter, r *http.Request) bool
	lie      func(bundle []byte, result *api.Result)
	requests int
	joining  joining
}

// A filter is of the revision of a set that an entry of the log published.
type filter struct {
	list  []byte
	entry uint64
}

type claim struct {
	builder signing.BuilderID
	payload attestation.Digest
}

// New starts an aggregator that has no builders yet.
func New(t testing.TB) *Aggregator {
	t.Helper()
	dir := t.TempDir()
	key, err := writer.LoadOrCreateKey(filepath.Join(dir, "key"), "log.example/test")
	if err != nil {
		t.Fatal(err)
	}
	a := &Aggregator{
		joining: joining{at: map[signing.BuilderID]uint64{}},
		LogKey:  key.String(), key: key, dir: filepath.Join(dir, "log"),
		enrolled: make(map[signing.BuilderID]signing.Key), jobs: make(map[signing.Identity]sigstore.Keyless), indices: make(map[claim]uint64), filters: make(map[string]filter),
	}
	if err := a.open(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.SubmitPath, a.submit)
	mux.HandleFunc("POST "+api.EnrolmentsPath, a.ask)
	mux.HandleFunc("GET "+api.EnrolmentsPath+"/{builder}", a.state)
	mux.HandleFunc("GET "+api.LogKeyPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, a.LogKey+"\n") })
	mux.Handle("GET "+api.LogPath+"/", http.StripPrefix(api.LogPath+"/", http.FileServer(http.Dir(a.dir))))
	mux.HandleFunc("GET "+api.SetsPath+"/{set}/filter", a.filter)
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
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (a *Aggregator) open() (err error) {
	a.log, err = writer.Open(context.Background(), writer.Config{
		Dir: a.dir, Key: a.key, CheckpointInterval: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	return err
}

func (a *Aggregator) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return a.log.Close(ctx)
}

// Backup copies the log to a new directory, as it is now.
func (a *Aggregator) Backup(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "backup")
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(a.close(), os.CopyFS(dir, os.DirFS(a.dir)), a.open()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Restore puts a backup in the place of the log: what came after it is lost.
func (a *Aggregator) Restore(t testing.TB, backup string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(a.close(), os.RemoveAll(a.dir), os.CopyFS(a.dir, os.DirFS(backup)), a.open()); err != nil {
		t.Fatal(err)
	}
	size := a.log.Size()
	a.entries = a.entries[:size]
	maps.DeleteFunc(a.indices, func(_ claim, index uint64) bool { return index >= size })
}

// Enrol takes statements of a builder from now on.
func (a *Aggregator) Enrol(key *signing.PublicKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.enrolled[key.Builder()] = signing.Key{PublicKey: key}
}

// EnrolJob takes statements of an identity from now on.
func (a *Aggregator) EnrolJob(who signing.Identity, root *sigstore.TrustedRoot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs[who] = sigstore.Keyless{Builder: signing.NewBuilderID(who.String()), Root: root}
}

// Publish makes a package set of outputs, each named once, or replaces it. The log has
// an entry of it.
func (a *Aggregator) Publish(ctx context.Context, set string, keys ...string) error {
	var prefixes [][]byte
	ecosystem := "generic"
	for _, key := range keys {
		if key != "" && key[0] == '/' {
			ecosystem = "nix"
		}
		id := attestation.NewOutputID(ecosystem, key)
		prefixes = append(prefixes, id[:api.FilterPrefixSize])
	}
	slices.SortFunc(prefixes, bytes.Compare)
	list := bytes.Join(prefixes, nil)
	entry := pkgset.Entry{Name: set, Revision: "1", Ecosystem: ecosystem, Members: len(keys), SHA256: sha256.Sum256(list)}
	body, err := entry.Encode()
	if err != nil {
		return err
	}
	index, err := a.Append(ctx, ledger.PackageSet, body)
	if err == nil {
		_, err = a.Receipt(ctx, index) // in a checkpoint
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filters[set] = filter{list, index}
	return nil
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
func (a *Aggregator) Lie(lie func(bundle []byte, result *api.Result)) {
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
func (a *Aggregator) Statements() []*sigstore.Verified {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.entries)
}

// Receipt returns a receipt for an entry.
func (a *Aggregator) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	return a.log.Receipt(ctx, index)
}

// Append puts an entry into the log that was not submitted.
func (a *Aggregator) Append(ctx context.Context, kind ledger.Kind, body []byte) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, nil)
	return a.log.Append(ctx, kind, body)
}

func (a *Aggregator) job(_ context.Context, who signing.Identity) (sigstore.Keyless, error) {
	keyless, ok := a.jobs[who]
	if !ok {
		return sigstore.Keyless{}, fmt.Errorf("%w: %s", signing.ErrUnknownBuilder, who)
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
	f, ok := a.filters[r.PathValue("set")]
	a.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	etag := fmt.Sprintf("%q", fmt.Sprint(f.entry))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(f.list)
}

func (a *Aggregator) submit(w http.ResponseWriter, r *http.Request) {
	body, err := decoded(r)
	if err != nil {
		Refuse(w, http.StatusBadRequest, "malformed", err.Error())
		return
	}
	bundles := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	results := make([]api.Result, len(bundles))
	for i, bundle := range bundles {
		results[i] = a.take(r.Context(), bundle)
	}
	a.mu.Lock()
	lie := a.lie
	a.mu.Unlock()
	w.Header().Set("Content-Type", api.LinesType)
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
	return io.ReadAll(io.LimitReader(reader, api.MaxRequestSize))
}

// take puts a bundle into the log as ingest does: verified, and once. The
// receipt has only the index as yet.
func (a *Aggregator) take(ctx context.Context, bundle []byte) api.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	verified, err := sigstore.OpenAny(ctx, bundle, a.lookup, a.job, time.Now())
	if err != nil {
		return api.Result{Problem: api.NewProblem(kindOf(err), err.Error())}
	}
	id := claim{verified.Builder(), verified.PayloadDigest()}
	index, duplicate := a.indices[id]
	if !duplicate {
		if index, err = a.log.Append(context.WithoutCancel(ctx), reading.KindOf(verified.Statement()), bundle); err != nil {
			return api.Result{Problem: api.NewProblem(api.ProblemTryLater, err.Error())}
		}
		a.indices[id] = index
		a.entries = append(a.entries, verified)
	}
	return api.Result{Receipt: &ledger.Receipt{Index: index}, Duplicate: duplicate}
}

func (a *Aggregator) prove(ctx context.Context, result *api.Result) {
	if result.Receipt == nil {
		return
	}
	receipt, err := a.log.Receipt(ctx, result.Receipt.Index)
	if err != nil {
		*result = api.Result{Problem: api.NewProblem(api.ProblemTryLater, err.Error())}
		return
	}
	result.Receipt = receipt
}
