package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

func TestOther(t *testing.T) {
	w := newWorld(t)
	w.cache["nix-cache-info"] = serve([]byte("StoreDir: /nix/store\nPriority: 40\n"))
	for file, want := range map[string]int{
		"nix-cache-info": http.StatusOK, pathHash + ".narinfo": http.StatusNotFound, "x.narinfo": http.StatusNotFound, "nar/x.nar": http.StatusNotFound,
		"nar/" + pathHash + "-" + strings.Repeat("0", 52) + ".nar": http.StatusNotFound, "log/x.drv": http.StatusNotFound,
		"nar/..%2f" + pathHash + ".narinfo": http.StatusNotFound,
	} {
		if response, _, err := w.get(file); response.StatusCode != want || err != nil || response.Header.Get("Repronet-Refused") != "" {
			t.Errorf("%s: %s, want %d", file, response.Status, want)
		}
	}
	for _, upstream := range []string{"", "cache.example.org", "file://host/cache", "file:", "http://"} {
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

// TestRegressed: dissent of who is not trusted is let through, except from what was reproduced
// in an earlier revision. The answer says what that was.
func TestRegressed(t *testing.T) {
	p, err := policy.Parse([]byte("sections: [{quorum: 2, trusted: [alice, bob], diverged: warn, regressed: refuse}]"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Policy = p })
	nar := content(100)
	w.offer(nar, "none", nar)
	w.attest("alice", sha256.Sum256(nar))
	w.attest("carol", sha256.Sum256([]byte("other")))
	w.attest("bob", sha256.Sum256(nar))
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.want("", "")
	const before = "/nix/store/" + "7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-demo-0.9"
	w.ledger.PublishSet("base", "1", "nix", []pkgset.Member{{Key: before, Attribute: "demo"}})
	w.ledger.PublishSet("base", "2", "nix", []pkgset.Member{{Key: path, Attribute: "demo"}})
	for _, operator := range []string{"alice", "bob"} {
		w.ledger.AttestOutput(w.builders[operator], "nix", before+".drv", before, attestation.NAR, sha256.Sum256(nar))
	}
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // from the ledger, and from what is held
		w.want(verify.Diverged, "regressed: "+before+", in whose place it came, is reproduced")
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
	for start := time.Now(); time.Since(start) < 2*time.Minute; time.Sleep(20 * time.Millisecond) {
		if response, _, _ := w.get(pathHash + ".narinfo"); response.StatusCode == http.StatusOK {
			break
		}
	}
	w.want("", "")
	cancel()
	<-done
}
