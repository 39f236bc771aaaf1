package gate

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

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
