package gate

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"repronet/attestation"
	"repronet/ledger"
	"repronet/signing"
	"repronet/verify"
	"repronet/verify/policy"
	"repronet/verify/verifytest"
)

const (
	hash = "00bgd045z0d4icpbc2yyz4gx48ak44la"
	path = "/nix/store/" + hash + "-demo-1.0"
	drv  = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-demo-1.0.drv"
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
	config := Config{Upstream: upstream + "/base", Policy: p, Timeout: 10 * time.Second}
	config.Pins = w.ledger.Pins(verifytest.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		(*w.shown.Load()).ServeHTTP(rw, r)
	})))
	for _, option := range options {
		option(&config)
	}
	mirror, err := verify.OpenMirror(t.Context(), t.TempDir(), w.ledger.Key.Verifier())
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
	w.cache[hash+".narinfo"] = serve([]byte(text))
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
func (w *world) want(finding verify.Decision, text string) {
	w.t.Helper()
	response, body, err := w.get(hash + ".narinfo")
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
	return "nar/" + hash + "-" + nixbase32.EncodeToString(sum[:]) + ".nar"
}

// content returns bytes that do not compress. That they are no NAR is nothing
// to the gate.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestNarinfo(t *testing.T) {
	nar := content(100)
	good, other := attestation.Digest(sha256.Sum256(nar)), verifytest.Digest(9)
	for _, test := range []struct {
		name    string
		happens func(w *world)
		finding verify.Decision
		text    string
	}{
		{"two agree", func(w *world) { w.attest("alice", good); w.attest("bob", good) }, "", "Sig: k-1:AAAA"},
		{"nobody", func(*world) {}, verify.Insufficient, path + "\ninsufficient: no trusted operator"},
		{"one", func(w *world) { w.attest("alice", good) }, verify.Insufficient, "1 of the 2 operators"},
		{"they diverge", func(w *world) { w.attest("alice", good); w.attest("bob", other) }, verify.Diverged, "by bob"},
		{"two against one", func(w *world) { w.attest("alice", good); w.attest("bob", good); w.attest("carol", other) }, verify.Diverged, "by carol"},
		{"they agree on another", func(w *world) { w.attest("alice", other); w.attest("bob", other) }, verify.Mismatch, other.String()},
		{"forged", func(w *world) {
			w.attest("alice", good)
			bundle := verifytest.Sign(t, w.builders["carol"], &attestation.Statement{
				Type: attestation.Withdraw, Ecosystem: "nix", DigestKind: attestation.NAR,
				Subjects: []attestation.Subject{{Name: path, Digest: good}},
			})
			w.ledger.Append(ledger.Attestation, []byte(strings.Replace(string(bundle), w.builders["carol"].Public().Hint(), w.builders["bob"].Public().Hint(), 1)))
		}, invalid, "forged evidence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.offer(nar, "none", nar)
			test.happens(w)
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.want(test.finding, test.text)
		})
	}
}

// TestRewritten: of what upstream signed nothing changes, and the NAR comes by
// the new URL.
func TestRewritten(t *testing.T) {
	w := newWorld(t)
	nar := content(100)
	w.agreed(nar, "none", nar)
	_, body, _ := w.get(hash + ".narinfo")
	want := strings.Replace(narinfoOf(nar, "none", nar), "nar/x.nar", narURL(nar), 1)
	if string(body) != want {
		t.Errorf("got\n%swant\n%s", body, want)
	}
	response, got, err := w.get(narURL(nar))
	if err != nil || !bytes.Equal(got, nar) || response.ContentLength != int64(len(nar)) {
		t.Errorf("%s, %d bytes of %d, %v", response.Status, len(got), len(nar), err)
	}
	// The evidence changes between the narinfo and the NAR.
	w.attest("carol", verifytest.Digest(9))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if response, _, _ := w.get(narURL(nar)); response.StatusCode != http.StatusNotFound || response.Header.Get("Repronet-Refused") != "diverged" {
		t.Errorf("after dissent: %s", response.Status)
	}
}

func compress(t *testing.T, with string, nar []byte) []byte {
	t.Helper()
	if with == "none" {
		return nar
	}
	command := exec.CommandContext(t.Context(), with, "-c")
	command.Stdin = bytes.NewReader(nar)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", with, err)
	}
	return out
}

func TestCompressions(t *testing.T) {
	nar := append(content(300<<10), make([]byte, 300<<10)...)
	for _, compression := range []string{"none", "xz", "zstd", "bzip2"} {
		t.Run(compression, func(t *testing.T) {
			w := newWorld(t)
			compressed := compress(t, compression, nar)
			w.agreed(nar, compression, compressed)
			if response, got, err := w.get(narURL(nar)); err != nil || !bytes.Equal(got, compressed) {
				t.Errorf("%s, %d bytes of %d, %v", response.Status, len(got), len(compressed), err)
			}
			swapped := bytes.Clone(nar)
			swapped[len(nar)-1] ^= 1
			w.cache["nar/x.nar"] = serve(compress(t, compression, swapped))
			w.withheld(narURL(nar), len(compressed))
		})
	}
}

// withheld checks that a NAR does not arrive as a whole.
func (w *world) withheld(file string, size int) {
	w.t.Helper()
	response, got, err := w.get(file)
	if response.StatusCode == http.StatusOK && (err == nil || len(got) >= size) {
		w.t.Errorf("%s, %d bytes of %d arrived, and then: %v", response.Status, len(got), size, err)
	}
	if response.StatusCode == http.StatusNotFound && response.Header.Get("Repronet-Refused") != "mismatch" {
		w.t.Errorf("%s with %q", response.Status, response.Header.Get("Repronet-Refused"))
	}
}

// TestSwappedNAR: whatever the cache sends in the place of what was accepted, it
// does not arrive as a whole.
func TestSwappedNAR(t *testing.T) {
	for _, size := range []int{1000, 300 << 10} {
		nar := content(size)
		changed := bytes.Clone(nar)
		changed[0] ^= 1
		zeros := compress(t, "zstd", make([]byte, 64<<20))
		for name, attack := range map[string]func(w *world){
			"another of the same size": func(w *world) { w.cache["nar/x.nar"] = serve(changed) },
			"shorter":                  func(w *world) { w.cache["nar/x.nar"] = serve(nar[:len(nar)-1]) },
			"longer":                   func(w *world) { w.cache["nar/x.nar"] = serve(append(bytes.Clone(nar), 0)) },
			"nothing":                  func(w *world) { w.cache["nar/x.nar"] = serve(nil) },
			"chunked and another": func(w *world) {
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
					_, _ = rw.Write(changed[:10])
					_ = http.NewResponseController(rw).Flush()
					_, _ = rw.Write(changed[10:])
				}
			},
			"chunked and endless": func(w *world) {
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
					for r.Context().Err() == nil {
						if _, err := rw.Write(nar); err != nil {
							return
						}
					}
				}
			},
			"broken off": func(w *world) {
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Length", fmt.Sprint(len(nar)))
					_, _ = rw.Write(nar[:len(nar)/2])
				}
			},
			"another narinfo": func(w *world) { w.offer(changed, "none", changed) },
			"the same narinfo with another FileHash": func(w *world) {
				text := narinfoOf(nar, "none", changed)
				w.cache[hash+".narinfo"] = serve([]byte(text))
			},
			"another, with its FileHash": func(w *world) {
				old, sum := sha256.Sum256(nar), sha256.Sum256(changed)
				text := strings.Replace(narinfoOf(changed, "none", changed), "NarHash: sha256:"+nixbase32.EncodeToString(sum[:]), "NarHash: sha256:"+nixbase32.EncodeToString(old[:]), 1)
				w.cache[hash+".narinfo"] = serve([]byte(text))
				w.cache["nar/x.nar"] = serve(changed)
			},
			"a bomb": func(w *world) {
				w.cache[hash+".narinfo"] = serve([]byte(narinfoOf(nar, "zstd", zeros)))
				w.cache["nar/x.nar"] = serve(zeros)
			},
			"padded endlessly": func(w *world) { // which is allowed behind xz
				packed := compress(t, "xz", nar)
				w.cache[hash+".narinfo"] = serve([]byte(narinfoOf(nar, "xz", packed)))
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
					_, err := rw.Write(packed)
					for err == nil && r.Context().Err() == nil {
						_, err = rw.Write(make([]byte, 32<<10))
					}
				}
			},
			"garbage for xz": func(w *world) {
				w.cache[hash+".narinfo"] = serve([]byte(narinfoOf(nar, "xz", nar)))
			},
		} {
			t.Run(fmt.Sprintf("%d/%s", size, name), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.agreed(nar, "none", nar)
				w.want("", "")
				attack(w)
				w.withheld(narURL(nar), size)
			})
		}
	}
}

// TestHostileUpstream: answers that are slow, huge or point elsewhere.
func TestHostileUpstream(t *testing.T) {
	nar := content(100)
	narinfo := narinfoOf(nar, "none", nar)
	stall := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
	}
	trickle := func(rw http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil && i < 200; i++ {
			_, _ = rw.Write([]byte("StorePath: "))
			_ = http.NewResponseController(rw).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	}
	for name, test := range map[string]struct {
		file, ask string
		answer    http.HandlerFunc
	}{
		"slow narinfo":      {hash + ".narinfo", hash + ".narinfo", stall},
		"trickled narinfo":  {hash + ".narinfo", hash + ".narinfo", trickle},
		"slow nar":          {"nar/x.nar", narURL(nar), stall},
		"trickled nar":      {"nar/x.nar", narURL(nar), trickle},
		"slow cache info":   {"nix-cache-info", "nix-cache-info", stall},
		"another store":     {"nix-cache-info", "nix-cache-info", serve([]byte("StoreDir: /gnu/store\n"))},
		"huge cache info":   {"nix-cache-info", "nix-cache-info", serve(bytes.Repeat([]byte("StoreDir: /nix/store\n"), 1000))},
		"huge narinfo":      {hash + ".narinfo", hash + ".narinfo", serve([]byte(narinfo + strings.Repeat("X-A: b\n", 1<<20)))},
		"error":             {hash + ".narinfo", hash + ".narinfo", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) }},
		"no narinfo":        {hash + ".narinfo", hash + ".narinfo", serve([]byte("<html>"))},
		"another's narinfo": {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, hash, "1"+hash[1:], 1)))},
		"URL elsewhere":     {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, "nar/x.nar", "http://169.254.169.254/", 1)))},
		"URL of a host":     {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, "nar/x.nar", "//169.254.169.254/x", 1)))},
		"URL upwards":       {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, "nar/x.nar", "nar/../../x", 1)))},
		"huge NarSize":      {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, "NarSize: 100", "NarSize: 9223372036854775807", 1)))},
		"negative FileSize": {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, "FileSize: 100", "FileSize: -1", 1)))},
		"other compression": {hash + ".narinfo", hash + ".narinfo", serve([]byte(strings.Replace(narinfo, "none", "lzip", 1)))},
		"URL twice":         {hash + ".narinfo", hash + ".narinfo", serve([]byte(narinfo + "URL: nar/y.nar\n"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *Config) { c.Timeout = 500 * time.Millisecond })
			w.agreed(nar, "none", nar)
			w.cache[test.file] = test.answer
			start := time.Now()
			response, body, _ := w.get(test.ask)
			if response.StatusCode != http.StatusBadGateway && response.Header.Get("Repronet-Refused") != "mismatch" {
				t.Errorf("%s: %s", response.Status, body)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestDictionary: a file cannot make the gate allocate what it likes.
func TestDictionary(t *testing.T) {
	nar := content(1000)
	command := exec.CommandContext(t.Context(), "xz", "--lzma2=dict=1GiB", "-c")
	command.Stdin = bytes.NewReader(nar)
	compressed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.agreed(nar, "xz", compressed)
	if response, body, _ := w.get(narURL(nar)); response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "dictionary") {
		t.Errorf("%s: %s", response.Status, body)
	}
}

func TestStale(t *testing.T) {
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.MaxStale = 700 * time.Millisecond })
	w.offer(nar, "none", nar)
	w.want(stale, "being fetched")
	w.agreed(nar, "none", nar)
	w.want("", "")
	w.show(http.NotFoundHandler())
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Fatal("refreshed from nothing")
	}
	w.want("", "") // not yet
	time.Sleep(700 * time.Millisecond)
	w.want(stale, "longer ago than 700ms")
	if response, _, _ := w.get(narURL(nar)); response.Header.Get("Repronet-Refused") != "stale" {
		t.Errorf("NAR: %s", response.Status)
	}
	w.show(w.ledger.Handler())
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
}

// TestRolledBack: an older state than was seen is no fresh one.
func TestRolledBack(t *testing.T) {
	nar := content(100)
	w := newWorld(t, func(c *Config) { c.MaxStale = time.Nanosecond })
	old := w.ledger.Publish()
	w.agreed(nar, "none", nar)
	w.show(verifytest.Replacing(w.ledger.Handler(), "checkpoint", old.Text))
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Error("took an older state for a fresh one")
	}
	w.want(stale, "older than what was seen before")
}

func TestForkedLog(t *testing.T) {
	nar := content(100)
	w := newWorld(t)
	w.agreed(nar, "none", nar)
	twin := w.ledger.Twin()
	twin.Fill(50, "another history")
	twin.Publish()
	w.show(twin.Handler())
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Fatal("did not notice the fork")
	}
	w.want(invalid, "signed two histories")
	w.show(w.ledger.Handler())
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want(invalid, "signed two histories") // a fork is not forgotten
}

// TestInvalidLog: a log that shows other entries than it signed is not believed
// until it shows the right ones.
func TestInvalidLog(t *testing.T) {
	nar := content(100)
	w := newWorld(t)
	w.agreed(nar, "none", nar)
	w.attest("carol", sha256.Sum256(nar))
	w.ledger.Publish()
	w.show(verifytest.Replacing(w.ledger.Handler(), "tile/entries/", []byte("garbage")))
	if err := w.gate.keeper.refresh(t.Context()); err == nil {
		t.Fatal("took garbage")
	}
	w.want(invalid, "invalid log")
	w.show(w.ledger.Handler())
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
}

func TestFailOpen(t *testing.T) {
	nar := content(100)
	open := func(c *Config) { c.FailOpen, c.MaxStale = true, time.Nanosecond }
	w := newWorld(t, open)
	w.offer(nar, "none", nar)
	w.want("", "") // nothing is known at all
	w.attest("alice", sha256.Sum256(nar))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
	w.attest("bob", verifytest.Digest(9))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want(verify.Diverged, "for want of fresh evidence")

	fresh := newWorld(t, func(c *Config) { c.FailOpen = true })
	fresh.offer(nar, "none", nar)
	if err := fresh.refresh(); err != nil {
		t.Fatal(err)
	}
	fresh.want(verify.Insufficient, "no trusted operator")
}

func TestOther(t *testing.T) {
	w := newWorld(t)
	w.cache["nix-cache-info"] = serve([]byte("StoreDir: /nix/store\nPriority: 40\n"))
	for file, want := range map[string]int{
		"nix-cache-info": http.StatusOK, hash + ".narinfo": http.StatusNotFound, "x.narinfo": http.StatusNotFound, "nar/x.nar": http.StatusNotFound,
		"nar/" + hash + "-" + strings.Repeat("0", 52) + ".nar": http.StatusNotFound, "log/x.drv": http.StatusNotFound,
		"nar/..%2f" + hash + ".narinfo": http.StatusNotFound,
	} {
		if response, _, err := w.get(file); response.StatusCode != want || err != nil || response.Header.Get("Repronet-Refused") != "" {
			t.Errorf("%s: %s, want %d", file, response.Status, want)
		}
	}
	for _, upstream := range []string{"", "cache.example.org", "file:///cache", "http://"} {
		if _, err := New(Config{Upstream: upstream}, nil, slog.Default()); err == nil {
			t.Errorf("upstream %q was taken", upstream)
		}
	}
}

func TestPage(t *testing.T) {
	w := newWorld(t)
	_, body, _ := w.get("")
	if !strings.Contains(string(body), "Nothing was asked for yet") || !strings.Contains(string(body), "so nothing is let through") {
		t.Errorf("%s", body)
	}
	nar := content(100)
	w.offer(nar, "none", nar)
	w.attest("alice", sha256.Sum256(nar))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	for range maxRecent + 1 {
		w.want(verify.Insufficient, "")
	}
	response, body, err := w.get("")
	text := string(body)
	if err != nil || strings.Count(text, path) != maxRecent || !strings.Contains(text, "1 of the 2 operators") || strings.Contains(text, "cannot be relied on") {
		t.Errorf("%v\n%.2000s", err, text)
	}
	_, style, _ := strings.Cut(text, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	if csp := response.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, base64.StdEncoding.EncodeToString(sum[:])) {
		t.Errorf("the style does not fit the policy %s", csp)
	}
}

func TestRun(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Refresh = 10 * time.Millisecond })
	nar := content(100)
	w.offer(nar, "none", nar)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.gate.Run(ctx)
	}()
	w.attest("alice", sha256.Sum256(nar))
	w.attest("bob", sha256.Sum256(nar))
	w.ledger.Publish()
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if response, _, _ := w.get(hash + ".narinfo"); response.StatusCode == http.StatusOK {
			break
		}
	}
	w.want("", "")
	cancel()
	<-done
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(narinfoOf([]byte("nar"), "xz", []byte("compressed"))))
	base, err := url.Parse("https://cache.example.org/base")
	if err != nil {
		f.Fatal(err)
	}
	u := &upstream{base: base}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := u.parse(text)
		if err != nil {
			return
		}
		if o.url.Host != base.Host || !strings.HasPrefix(o.url.Path, "/base/") || o.url.Scheme != base.Scheme {
			t.Errorf("a NAR at %s", o.url)
		}
		again, err := u.parse(o.rewritten())
		if err != nil || again.NarHash != o.NarHash || string(again.Fingerprint()) != string(o.Fingerprint()) {
			t.Errorf("rewritten as\n%s: %v", o.rewritten(), err)
		}
	})
}
