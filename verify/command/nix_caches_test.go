package command

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNixCompressions: real Nix writes a cache in each compression that it knows,
// and gets from it through the gate.
func TestNixCompressions(t *testing.T) {
	w := newNixWorld(t)
	w.attest("alice", w.digest)
	w.attest("bob", w.digest)
	var cache atomic.Pointer[http.Handler]
	show := func(h http.Handler) { cache.Store(&h) }
	show(http.FileServer(http.Dir(w.cache)))
	gate := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*cache.Load()).ServeHTTP(rw, r) }))
	w.await(t, gate, http.StatusOK, "StorePath: ")
	for _, compression := range []string{"none", "xz", "bzip2", "gzip", "zstd", "br", "lzip", "lz4", "lzma"} {
		t.Run(compression, func(t *testing.T) {
			dir := w.file("cache-" + compression)
			w.nix(t, "nix", "copy", "--store", "local?root="+w.store("builder"), "--to", "file://"+dir+"?compression="+compression+"&secret-key="+w.file("secret"), w.path)
			show(http.FileServer(http.Dir(dir)))
			w.nix(t, "nix", "copy", "--from", gate, "--to", "local?root="+w.store("client-"+compression), w.path)
			narinfo, err := os.ReadFile(filepath.Join(dir, filepath.Base(w.path)[:32]+".narinfo"))
			if err != nil || !strings.Contains(string(narinfo), "Compression: "+compression+"\n") {
				t.Errorf("the cache is of another compression: %s (%v)", narinfo, err)
			}
		})
	}
}

// TestNixGoesOn: whatever the cache behind the gate answers, a build goes on.
func TestNixGoesOn(t *testing.T) {
	w := newNixWorld(t)
	w.attest("alice", w.digest)
	w.attest("bob", w.digest)
	files := http.FileServer(http.Dir(w.cache))
	var broken atomic.Pointer[http.HandlerFunc]
	show := func(h http.HandlerFunc) { broken.Store(&h) }
	show(files.ServeHTTP)
	gate := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*broken.Load())(rw, r) }))
	w.await(t, gate, http.StatusOK, "StorePath: ")
	only := func(part string, h http.HandlerFunc) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, part) {
				h(rw, r)
				return
			}
			files.ServeHTTP(rw, r)
		}
	}
	for name, cache := range map[string]http.HandlerFunc{
		"a narinfo that is none": only(".narinfo", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }),
		"errors":                 func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", http.StatusInternalServerError) },
		"no cache info":          only("nix-cache-info", http.NotFound),
		"NARs are gone":          only("/nar/", http.NotFound),
		"a compression of later": only(".narinfo", func(rw http.ResponseWriter, r *http.Request) {
			content, err := os.ReadFile(filepath.Join(w.cache, filepath.Base(r.URL.Path)))
			if err != nil {
				http.NotFound(rw, r)
				return
			}
			_, _ = rw.Write([]byte(strings.Replace(string(content), "Compression: xz", "Compression: lrzip9", 1)))
		}),
		"it is away": func(rw http.ResponseWriter, _ *http.Request) {
			connection, _, err := http.NewResponseController(rw).Hijack()
			if err == nil {
				_ = connection.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			show(cache)
			store := w.store(strings.ReplaceAll("build "+name, " ", "-"))
			start := time.Now()
			out, err := w.try(t.Context(), "nix-build", w.set, "--arg", "tools", w.file("tools"), "-A", "large", "--no-out-link",
				"--store", "local?root="+store, "--option", "substituters", gate, "--option", "connect-timeout", "5")
			if err != nil {
				t.Errorf("the build ended: %v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(store, w.path)); err != nil {
				t.Errorf("not there: %v\n%s", err, out)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}
