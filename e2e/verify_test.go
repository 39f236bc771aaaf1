package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/ledger/writer"
)

// A checker is a user of repronet-verify, with pins and a copy of the ledger.
type checker struct{ config, mirror string }

func newChecker(t *testing.T) checker {
	t.Helper()
	dir := t.TempDir()
	return checker{filepath.Join(dir, "pins.json"), filepath.Join(dir, "mirror")}
}

// run runs repronet-verify, asserts its exit status, and returns what it said.
func (c checker) run(t *testing.T, want int, words string, args ...string) string {
	t.Helper()
	args = append(append(strings.Fields(words), "--config", c.config), args...)
	command := exec.CommandContext(t.Context(), programs().Verify(), args...)
	text, err := command.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	if got := command.ProcessState.ExitCode(); got != want {
		t.Errorf("repronet-verify %s exits with %d, want %d:\n%s", strings.Join(args, " "), got, want, text)
	}
	return string(text)
}

// output asks about an output.
func (c checker) output(t *testing.T, want int, key string, args ...string) string {
	t.Helper()
	return c.run(t, want, "output", append([]string{"--mirror", c.mirror, "--ecosystem", ecosystem(key), key}, args...)...)
}

func ecosystem(key string) string {
	if strings.HasPrefix(key, "/nix/store/") {
		return "nix"
	}
	return "go"
}

// pin pins the ledger's key and the three builders by hand, and an address.
func (b *builds) pin(t *testing.T, c checker, address string) {
	t.Helper()
	key, err := fetch(t.Context(), b.URL+api.LogKeyPath)
	if err != nil {
		t.Fatal(err)
	}
	c.run(t, 0, "pin", "--aggregator", address, "--log-key", strings.TrimSpace(string(key)))
	for operator, r := range b.reporters {
		c.run(t, 0, "pin", "--builder", filepath.Join(r.Dir, "builder.pub"), "--operator", operator)
	}
}

// keys returns the key of an output that is reproduced and of one that is not.
func (b *builds) keys() (reproduced, diverged string) {
	for _, key := range slices.Sorted(maps.Keys(b.expected)) {
		if b.expected[key].verdict == "reproduced" {
			reproduced = key
		} else {
			diverged = key
		}
	}
	return reproduced, diverged
}

// testVerify gets each exit status of repronet-verify output from the honest
// aggregator.
func (b *builds) testVerify(t *testing.T) {
	reproduced, diverged := b.keys()
	c := newChecker(t)
	c.output(t, 2, reproduced) // nothing is pinned
	c.run(t, 0, "pin", "--yes", "--aggregator", b.URL)
	right := getOutput(t, b.URL, reproduced).Claims[0].Digest
	wrong := "sha256:" + strings.Repeat("1", 64)
	unknown := strings.Replace(reproduced, "-1", "-99", 1)
	if unknown == reproduced {
		unknown += "-99"
	}
	for _, test := range []struct {
		name, key string
		args      []string
		want      int
	}{
		{"reproduced", reproduced, nil, 0},
		{"by as many as asked for", reproduced, []string{"--quorum", "3"}, 0},
		{"with the right digest", reproduced, []string{"--digest", right}, 0},
		{"diverged", diverged, nil, 1},
		{"with another digest", reproduced, []string{"--digest", wrong}, 1},
		{"with the path", reproduced, []string{"--path", b.path("bob", reproduced)}, 0},
		{"with another file", reproduced, []string{"--path", "verify_test.go"}, 1},
		{"by too few", reproduced, []string{"--quorum", "4"}, 2},
		{"never built", unknown, nil, 2},
		{"not a digest", reproduced, []string{"--digest", "beef"}, 64},
		{"no such option", reproduced, []string{"--trust"}, 64},
	} {
		t.Run(test.name, func(t *testing.T) { c.output(t, test.want, test.key, test.args...) })
	}
}

// path is where an operator has an output.
func (b *builds) path(operator, key string) string {
	if b.set != "" {
		return filepath.Join(b.dir, operator, "store", key)
	}
	name := b.expected[key].name
	return filepath.Join(b.dir, operator, "src", name, name)
}

// liar is an aggregator that passes most of what it is asked on to the honest
// one, and answers the rest itself.
func (b *builds) liar(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	honest, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(honest) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// testLies has repronet-verify ask aggregators that lie.
func (b *builds) testLies(t *testing.T) {
	reproduced, diverged := b.keys()
	t.Run("about a verdict", func(t *testing.T) {
		liar := b.liarAboutOutputs(t, func(o *dashboard.Output) {
			o.Verdict, o.Shape, o.Cause, o.Digests = "reproduced", "", "", 1
		})
		if o := getOutput(t, liar, diverged); o.Verdict != "reproduced" {
			t.Fatalf("the liar says %s", o.Verdict)
		}
		c := newChecker(t)
		b.pin(t, c, liar)
		c.output(t, 1, diverged)
		c.output(t, 0, reproduced)
	})
	t.Run("by hiding dissent", func(t *testing.T) {
		liar := b.liarAboutOutputs(t, func(o *dashboard.Output) { o.Claims = o.Claims[:1] })
		if o := getOutput(t, liar, diverged); len(o.Claims) != 1 {
			t.Fatalf("the liar shows %d claims", len(o.Claims))
		}
		c := newChecker(t)
		b.pin(t, c, liar)
		if said := c.output(t, 1, diverged); !strings.Contains(said, "3 digests of 3 operators") {
			t.Errorf("repronet-verify does not see the three claims:\n%s", said)
		}
	})
	t.Run("by a forked log", func(t *testing.T) {
		fork := http.StripPrefix(api.LogPath, http.FileServer(http.Dir(b.fork(t))))
		liar := b.liar(t, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, api.LogPath+"/") || r.URL.Path == api.LogKeyPath {
				return false
			}
			fork.ServeHTTP(w, r)
			return true
		})
		c := newChecker(t)
		b.pin(t, c, b.URL)
		c.output(t, 0, reproduced)
		other := checker{newChecker(t).config, c.mirror}
		b.pin(t, other, liar)
		other.output(t, 3, reproduced)
		if kept, err := filepath.Glob(filepath.Join(c.mirror, "forks", "*")); err != nil || len(kept) != 2 {
			t.Errorf("the copy of the ledger keeps %q as the proof of the fork (%v)", kept, err)
		}
		c.output(t, 0, reproduced) // what was seen before is as good as before
	})
	t.Run("by a rewritten entry", func(t *testing.T) {
		rewritten := false
		liar := b.liar(t, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, api.LogPath+"/tile/entries/") {
				return false
			}
			text, err := fetch(r.Context(), b.URL+r.URL.Path)
			if err != nil {
				return false
			}
			text[len(text)-10] ^= 1 // within the last entry
			rewritten = true
			w.Write(text)
			return true
		})
		c := newChecker(t)
		b.pin(t, c, liar)
		c.output(t, 3, reproduced)
		if !rewritten {
			t.Error("nobody asked for entries")
		}
	})
	t.Run("by leaving entries out", func(t *testing.T) {
		liar := b.liar(t, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, api.LogPath+"/tile/entries/") {
				return false
			}
			http.NotFound(w, r)
			return true
		})
		c := newChecker(t)
		b.pin(t, c, liar)
		c.output(t, 3, reproduced)
	})
	t.Run("by rolling back", func(t *testing.T) {
		old, err := fetch(t.Context(), b.URL+api.LogPath+"/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		b.attestFailure(t) // the ledger grows
		c := newChecker(t)
		b.pin(t, c, b.URL)
		c.output(t, 0, reproduced)
		liar := b.liar(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != api.LogPath+"/checkpoint" {
				return false
			}
			w.Write(old)
			return true
		})
		other := checker{newChecker(t).config, c.mirror}
		b.pin(t, other, liar)
		if said := other.output(t, 0, reproduced); !strings.Contains(said, "older than what was seen before") {
			t.Errorf("repronet-verify does not say that the log was rolled back:\n%s", said)
		}
	})
}

// liarAboutOutputs changes what the API says of outputs.
func (b *builds) liarAboutOutputs(t *testing.T, change func(*dashboard.Output)) string {
	t.Helper()
	return b.liar(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v1/outputs" {
			return false
		}
		var o dashboard.Output
		text, err := fetch(r.Context(), b.URL+r.URL.String())
		if err == nil {
			err = json.Unmarshal(text, &o)
		}
		if err != nil {
			return false
		}
		change(&o)
		json.NewEncoder(w).Encode(&o)
		return true
	})
}

// fork writes a second log with the same key: the same entries without the last
// claim, and more of others, so that it is the longer one. It returns its
// directory.
func (b *builds) fork(t *testing.T) string {
	t.Helper()
	entries, checkpoint := readLedger(t, b.URL, 1)
	key, err := writer.LoadOrCreateKey(filepath.Join(b.Data, "log.key"), checkpoint.Origin)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, err := writer.Open(t.Context(), writer.Config{Dir: dir, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	last := len(entries) - 1
	for _, e := range append(entries[:last:last], entries[0], entries[1]) {
		if _, err := log.Append(t.Context(), e.Kind, e.Body); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	return dir
}
