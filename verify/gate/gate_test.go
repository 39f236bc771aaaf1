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

	"repronet.dev/verify"
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
