package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
	"repronet.dev/verify/verifytest"
)

const (
	pathHash = "00bgd045z0d4icpbc2yyz4gx48ak44la"
	path     = "/nix/store/" + pathHash + "-demo-1.0"
	drv      = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-demo-1.0.drv"
)

// A world is a ledger with builders, a cache, and a gate before it.
type world struct {
	t        testing.TB
	ledger   *verifytest.Ledger
	builders map[string]*signing.Signer
	shown    atomic.Pointer[http.Handler] // of the ledger
	cache    map[string]http.HandlerFunc  // by path
	gate     *Gate
	url      string
}

func newWorld(t testing.TB, options ...func(*Config)) *world {
	w := &world{t: t, ledger: verifytest.NewLedger(t), builders: map[string]*signing.Signer{}, cache: map[string]http.HandlerFunc{}}
	for _, operator := range []string{"alice", "bob", "carol"} {
		w.builders[operator] = w.ledger.Enrol(operator)
	}
	w.show(w.ledger.Handler())
	p, err := policy.Parse([]byte("sections: [{quorum: 2}]"))
	if err != nil {
		t.Fatal(err)
	}
	upstream := verifytest.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if answer, ok := w.cache[strings.TrimPrefix(r.URL.Path, "/base/")]; ok {
			answer(rw, r)
			return
		}
		http.NotFound(rw, r)
	}))
	config := Config{Upstream: upstream + "/base", Policy: p, Timeout: time.Minute}
	config.Pins = w.ledger.Pins(verifytest.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		(*w.shown.Load()).ServeHTTP(rw, r)
	})))
	for _, option := range options {
		option(&config)
	}
	mirror, err := config.Pins.OpenMirror(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if w.gate, err = New(config, mirror, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.gate)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(func() {
		server.Close()
		w.gate.Close()
		if err := mirror.Close(); err != nil {
			t.Error(err)
		}
	})
	w.url = server.URL
	return w
}

func (w *world) show(h http.Handler) { w.shown.Store(&h) }

func (w *world) attest(operator string, digest attestation.Digest) {
	w.ledger.AttestOutput(w.builders[operator], "nix", drv, path, attestation.NAR, digest)
}

// refresh publishes the ledger and lets the gate see it.
func (w *world) refresh() error {
	w.ledger.Publish()
	return w.gate.keeper.refresh(w.t.Context())
}

// agreed has alice and bob agree on a NAR, which the cache offers.
func (w *world) agreed(nar []byte, compression string, compressed []byte) {
	w.t.Helper()
	w.offer(nar, compression, compressed)
	w.attest("alice", sha256.Sum256(nar))
	w.attest("bob", sha256.Sum256(nar))
	if err := w.refresh(); err != nil {
		w.t.Fatal(err)
	}
}

// offer puts a NAR into the cache.
func (w *world) offer(nar []byte, compression string, compressed []byte) {
	text := narinfoOf(nar, compression, compressed)
	w.cache[pathHash+".narinfo"] = serve([]byte(text))
	w.cache["nar/x.nar"] = serve(compressed)
}

func narinfoOf(nar []byte, compression string, compressed []byte) string {
	sum, file := sha256.Sum256(nar), sha256.Sum256(compressed)
	return fmt.Sprintf("StorePath: %s\nURL: nar/x.nar\nCompression: %s\nFileHash: sha256:%s\nFileSize: %d\nNarHash: sha256:%s\nNarSize: %d\nReferences: \nSig: k-1:%s\n",
		path, compression, nixbase32.EncodeToString(file[:]), len(compressed), nixbase32.EncodeToString(sum[:]), len(nar), base64.StdEncoding.EncodeToString(make([]byte, 64)))
}

func serve(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }
}

// get returns the gate's answer. err is of reading the body to its end.
func (w *world) get(file string) (response *http.Response, body []byte, err error) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+"/"+file, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if response, err = http.DefaultClient.Do(request); err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, 8<<20))
	return response, body, err
}

// want asks for the narinfo and checks the finding with which it is refused;
// "" is to be let through.
func (w *world) want(finding verify.Finding, text string) {
	w.t.Helper()
	response, body, err := w.get(pathHash + ".narinfo")
	status := http.StatusNotFound
	if finding == "" {
		status = http.StatusOK
	}
	if err != nil || response.StatusCode != status || response.Header.Get("Repronet-Refused") != string(finding) || !strings.Contains(string(body), text) {
		w.t.Errorf("%s, refused as %q: %s (%v); want %d, %q: %s", response.Status, response.Header.Get("Repronet-Refused"), body, err, status, finding, text)
	}
}

func narURL(nar []byte) string {
	sum := sha256.Sum256(nar)
	return "nar/" + pathHash + "-" + nixbase32.EncodeToString(sum[:]) + ".nar"
}

// content returns bytes that do not compress. That they are no NAR is nothing
// to the gate.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
