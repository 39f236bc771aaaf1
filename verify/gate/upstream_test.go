package gate

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"repronet.dev/verify/verifytest"
)

// TestHostileUpstream: answers that are slow, huge or point elsewhere are "not here"
// for Nix, which goes on and builds, and whoever looks is told the reason.
func TestHostileUpstream(t *testing.T) {
	nar := content(100)
	narinfo := narinfoOf(nar, "none", nar)
	stall := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Minute):
		}
	}
	trickle := func(rw http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil && i < 3000; i++ {
			_, _ = rw.Write([]byte("StorePath: "))
			_ = http.NewResponseController(rw).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	}
	for name, test := range map[string]struct {
		file, ask string
		answer    http.HandlerFunc
	}{
		"slow narinfo":      {pathHash + ".narinfo", pathHash + ".narinfo", stall},
		"trickled narinfo":  {pathHash + ".narinfo", pathHash + ".narinfo", trickle},
		"slow nar":          {"nar/x.nar", narURL(nar), stall},
		"trickled nar":      {"nar/x.nar", narURL(nar), trickle},
		"another store":     {"nix-cache-info", "nix-cache-info", serve([]byte("StoreDir: /gnu/store\n"))},
		"huge narinfo":      {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(narinfo + strings.Repeat("X-A: b\n", 1<<20)))},
		"error":             {pathHash + ".narinfo", pathHash + ".narinfo", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) }},
		"no narinfo":        {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte("<html>"))},
		"another's narinfo": {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, pathHash, "1"+pathHash[1:], 1)))},
		"URL elsewhere":     {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, "nar/x.nar", "http://169.254.169.254/", 1)))},
		"URL of a host":     {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, "nar/x.nar", "//169.254.169.254/x", 1)))},
		"URL upwards":       {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, "nar/x.nar", "nar/../../x", 1)))},
		"huge NarSize":      {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, "NarSize: 100", "NarSize: 9223372036854775807", 1)))},
		"negative FileSize": {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, "FileSize: 100", "FileSize: -1", 1)))},
		"other compression": {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(strings.Replace(narinfo, "none", "rar", 1)))},
		"URL twice":         {pathHash + ".narinfo", pathHash + ".narinfo", serve([]byte(narinfo + "URL: nar/y.nar\n"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *Config) { c.Timeout = 500 * time.Millisecond })
			w.agreed(nar, "none", nar)
			w.cache[test.file] = test.answer
			start := time.Now()
			response, body, _ := w.get(test.ask)
			refused := response.Header.Get("Repronet-Refused")
			if response.StatusCode != http.StatusNotFound || refused != "unavailable" && refused != "mismatch" {
				t.Errorf("%s, refused as %q: %s", response.Status, refused, body)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestCacheInfo: nix-cache-info as Nix reads it; where there is none that can be
// had, the gate is a cache all the same.
func TestCacheInfo(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		text   string
	}{
		"as Nix writes it":  {serve([]byte("StoreDir: /nix/store\nWantMassQuery: 1\n")), http.StatusOK, "WantMassQuery: 1"},
		"CRLF":              {serve([]byte("StoreDir:  /nix/store\r\nPriority: 30\r\n")), http.StatusOK, "Priority: 30"},
		"no line end":       {serve([]byte("Priority: 30\nStoreDir: /nix/store")), http.StatusOK, "Priority: 30"},
		"no store":          {serve([]byte("Priority: 30\n")), http.StatusOK, "Priority: 30"},
		"another store":     {serve([]byte("StoreDir: /gnu/store\n")), http.StatusNotFound, "/gnu/store"},
		"none":              {http.NotFound, http.StatusOK, "StoreDir: /nix/store"},
		"huge":              {serve(bytes.Repeat([]byte("StoreDir: /nix/store\n"), 1000)), http.StatusOK, "Priority: 40"},
		"an encoding of it": {encode("zstd", []byte("Priority: 30\n")), http.StatusOK, "Priority: 30"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cache["nix-cache-info"] = test.answer
			response, body, err := w.get("nix-cache-info")
			if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.text) {
				t.Errorf("%s: %s (%v); want %d with %q", response.Status, body, err, test.status, test.text)
			}
		})
	}
}

// encode serves content in a Content-Encoding that has the name of its tool.
func encode(with string, content []byte) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		command := exec.CommandContext(r.Context(), with, "-c")
		command.Stdin = bytes.NewReader(content)
		out, err := command.Output()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Encoding", with)
		_, _ = rw.Write(out)
	}
}

// TestWhatNixReads: files in a Content-Encoding, addresses as caches write them, a
// compression that is not named.
func TestWhatNixReads(t *testing.T) {
	nar := content(100 << 10)
	for name, change := range map[string]func(w *world, narinfo string) string{
		"narinfo in gzip": func(w *world, narinfo string) string {
			w.cache[pathHash+".narinfo"] = encode("gzip", []byte(narinfo))
			return ""
		},
		"NAR in zstd": func(w *world, _ string) string {
			w.cache["nar/x.nar"] = encode("zstd", nar)
			return ""
		},
		"whole address": func(w *world, narinfo string) string {
			return strings.Replace(narinfo, "nar/x.nar", w.gate.upstream.base.String()+"/nar/x.nar", 1)
		},
		"from the root": func(_ *world, narinfo string) string { return strings.Replace(narinfo, "nar/x.nar", "/nar/x.nar", 1) },
		"with a query": func(_ *world, narinfo string) string {
			return strings.Replace(narinfo, "nar/x.nar", "nar/x.nar?v=1", 1)
		},
		"redirected on its host": func(w *world, _ string) string {
			w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "/base/nar/y.nar", http.StatusFound)
			}
			w.cache["nar/y.nar"] = serve(nar)
			return ""
		},
		"nothing of the file": func(_ *world, narinfo string) string {
			return regexp.MustCompile(`(?m)^File.*\n`).ReplaceAllString(narinfo, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.agreed(nar, "none", nar)
			if text := change(w, narinfoOf(nar, "none", nar)); text != "" {
				w.cache[pathHash+".narinfo"] = serve([]byte(text))
			}
			if response, body, err := w.get(pathHash + ".narinfo"); err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("narinfo: %s: %s (%v)", response.Status, body, err)
			}
			if response, got, err := w.get(narURL(nar)); err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(got, nar) {
				t.Errorf("NAR: %s, %d bytes of %d, %v", response.Status, len(got), len(nar), err)
			}
		})
	}
}

// TestBlankCompression: Nix takes it for bzip2.
func TestBlankCompression(t *testing.T) {
	w, nar := newWorld(t), content(1000)
	packed := compress(t, "bzip2", nar)
	w.agreed(nar, "bzip2", packed)
	w.cache[pathHash+".narinfo"] = serve([]byte(strings.Replace(narinfoOf(nar, "bzip2", packed), "Compression: bzip2", "Compression: ", 1)))
	if response, got, err := w.get(narURL(nar)); err != nil || !bytes.Equal(got, packed) {
		t.Errorf("%s, %d bytes of %d, %v", response.Status, len(got), len(packed), err)
	}
}

// TestRedirectElsewhere: what a cache leads to on another host is not asked for.
func TestRedirectElsewhere(t *testing.T) {
	w, nar := newWorld(t), content(100)
	w.agreed(nar, "none", nar)
	asked := false
	elsewhere := verifytest.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked = true
		_, _ = rw.Write(nar)
	}))
	for _, file := range []string{pathHash + ".narinfo", "nar/x.nar"} {
		w.cache[file] = func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, elsewhere, http.StatusFound) }
		response, body, _ := w.get(narURL(nar))
		if response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "another host") || asked {
			t.Errorf("%s: %s: %s, asked: %v", file, response.Status, body, asked)
		}
		w.agreed(nar, "none", nar)
	}
}

// TestDirectory: a cache in a directory of this machine.
func TestDirectory(t *testing.T) {
	nar, dir := content(1000), t.TempDir()
	for name, content := range map[string]string{pathHash + ".narinfo": narinfoOf(nar, "none", nar), "nar/x.nar": string(nar)} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, func(c *Config) { c.Upstream = "file://" + dir })
	w.agreed(nar, "none", nar)
	if response, got, err := w.get(narURL(nar)); err != nil || !bytes.Equal(got, nar) {
		t.Errorf("%s, %d bytes of %d, %v", response.Status, len(got), len(nar), err)
	}
	if response, body, _ := w.get("1" + pathHash[1:] + ".narinfo"); response.StatusCode != http.StatusNotFound || response.Header.Get("Repronet-Refused") != "" {
		t.Errorf("what is not there: %s: %s", response.Status, body)
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
		if o.url.Host != base.Host || o.url.Scheme != base.Scheme {
			t.Errorf("a NAR at %s", o.url)
		}
		again, err := u.parse(o.rewritten())
		if err != nil || again.NarHash != o.NarHash || string(again.Fingerprint()) != string(o.Fingerprint()) {
			t.Errorf("rewritten as\n%s: %v", o.rewritten(), err)
		}
	})
}
