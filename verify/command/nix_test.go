package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/cli"
	"repronet.dev/internal/needtest"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/verifytest"
)

// nixWorld is real Nix: a store in which a package was built, a binary cache
// that has it, signed, and an empty store of a client.
type nixWorld struct {
	*world
	dir    string
	path   string // of the package
	digest attestation.Digest
	cache  string // directory of the binary cache
	set    string // directory of the package set
}

func newNixWorld(t *testing.T) *nixWorld {
	needtest.Root(t, "build with Nix in a store of its own")
	needtest.Program(t, "nix", "nix-bin")
	needtest.Program(t, "busybox", "busybox-static")
	w := &nixWorld{world: newWorld(t), dir: t.TempDir()}
	w.cache = filepath.Join(w.dir, "cache")
	set, err := filepath.Abs("../../e2e/nixset")
	if err != nil {
		t.Fatal(err)
	}
	w.set = set
	store := &network.NixStore{Root: w.store("builder"), Set: set, Tools: filepath.Join(w.dir, "tools")}
	if err := network.PrepareTools(store.Tools); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := store.Build(t.Context(), "large", &log); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	if w.path, err = store.Output(t.Context(), "large", "out"); err != nil {
		t.Fatal(err)
	}
	w.nix(t, "nix-store", "--generate-binary-cache-key", "cache.example.org-1", w.file("secret"), w.file("public"))
	w.nix(t, "nix", "copy", "--store", "local?root="+store.Root, "--to", "file://"+w.cache+"?secret-key="+w.file("secret"), w.path)
	list, err := closure.Nix(t.Context(), w.path, "local?root="+store.Root)
	if err != nil || len(list.Items) != 1 || list.Items[0].Key != w.path {
		t.Fatalf("the closure of %s: %+v, %v", w.path, list, err)
	}
	w.digest = *list.Items[0].Digest
	return w
}

func (w *nixWorld) file(name string) string { return filepath.Join(w.dir, name) }

func (w *nixWorld) store(name string) string { return w.file("store-" + name) }

func (w *nixWorld) nix(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := w.try(t.Context(), name, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (w *nixWorld) try(ctx context.Context, name string, args ...string) ([]byte, error) {
	key, _ := os.ReadFile(w.file("public"))
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "HOME="+w.dir, "XDG_CACHE_HOME="+w.file("xdg"),
		"NIX_CONFIG=experimental-features = nix-command\nsubstituters =\nbuild-users-group =\nnarinfo-cache-negative-ttl = 0\nnarinfo-cache-positive-ttl = 0\n"+
			"download-attempts = 1\ntrusted-public-keys = "+strings.TrimSpace(string(key))+"\n")
	return command.CombinedOutput()
}

// attest has a builder say what it got.
func (w *nixWorld) attest(operator string, digest attestation.Digest) {
	w.ledger.AttestOutput(w.builders[operator], "nix", "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-large-1.0.drv", w.path, attestation.NAR, digest)
	w.ledger.Publish()
}

// serve runs the gate before the cache until the test ends and returns its URL.
func (w *nixWorld) serve(t *testing.T, cache http.Handler) string {
	t.Helper()
	if status := w.run(t, io.Discard, "pin", "--aggregator", w.url, "--yes"); status != 0 {
		t.Fatalf("pin: exit status %d", status)
	}
	if err := os.WriteFile(w.file("policy.yaml"), []byte("sections: [{ecosystem: nix, quorum: 2}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	upstream := verifytest.Serve(t, cache)
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		args := append([]string{"gate", "--upstream", upstream, "--policy", w.file("policy.yaml"), "--listen", "127.0.0.1:0", "--refresh", "100ms"}, w.options("gate")...)
		done <- Program().Run(ctx, &cli.Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: writer}, args)
	}()
	t.Cleanup(func() {
		cancel()
		if status := <-done; status != 0 {
			t.Errorf("gate: exit status %d", status)
		}
		_ = writer.Close()
	})
	lines := bufio.NewScanner(reader)
	if !lines.Scan() {
		t.Fatal("the gate says nothing")
	}
	url, found := strings.CutPrefix(lines.Text(), "serving on ")
	if !found {
		t.Fatalf("the gate says %q", lines.Text())
	}
	go func() {
		for lines.Scan() {
			t.Log(lines.Text())
		}
	}()
	return url
}

// await asks for the narinfo until the gate, which follows the ledger, answers as
// it should.
func (w *nixWorld) await(t *testing.T, gate string, status int, text string) {
	t.Helper()
	var got string
	for start := time.Now(); time.Since(start) < 2*time.Minute; time.Sleep(50 * time.Millisecond) {
		var code int
		if code, got = get(t, gate+filepath.Base(w.path)[:32]+".narinfo"); code == status && strings.Contains(got, text) {
			return
		}
	}
	t.Fatalf("the gate does not answer %d with %q, but %s", status, text, got)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (w *nixWorld) options(mirror string) []string {
	return []string{"--config", w.file("verify.json"), "--mirror", w.file("mirror-" + mirror)}
}

func (w *nixWorld) run(t *testing.T, stdout io.Writer, args ...string) int {
	args = append(args, "--config", w.file("verify.json"))
	if args[0] == "closure" {
		args = append(args, "--mirror", w.file("mirror-closure"))
	}
	return Program().Run(t.Context(), &cli.Env{Stdin: strings.NewReader(""), Stdout: stdout, Stderr: t.Output()}, args)
}

// TestNixThroughGate: real Nix gets a path through the gate when two operators
// agree, and not when one alone spoke or they diverge.
func TestNixThroughGate(t *testing.T) {
	w := newNixWorld(t)
	gate := w.serve(t, http.FileServer(http.Dir(w.cache)))
	fetch := func(client string) ([]byte, error) {
		return w.try(t.Context(), "nix", "copy", "--from", gate, "--to", "local?root="+w.store(client), w.path)
	}
	w.attest("alice", w.digest)
	w.await(t, gate, http.StatusNotFound, "1 of the 2 operators")
	if out, err := fetch("one"); err == nil {
		t.Errorf("fetched what one operator alone has built:\n%s", out)
	}
	w.attest("bob", w.digest)
	w.await(t, gate, http.StatusOK, "StorePath: ")
	if out, err := fetch("two"); err != nil {
		t.Fatalf("two operators agree: %v\n%s", err, out)
	}
	list, err := closure.Nix(t.Context(), w.path, "local?root="+w.store("two"))
	if err != nil || *list.Items[0].Digest != w.digest {
		t.Errorf("what arrived: %+v, %v", list, err)
	}

	// The client's closure, checked against what is installed.
	check := func(want int, text string) {
		t.Helper()
		var out bytes.Buffer
		status := w.run(t, &out, "closure", w.path, "--store", "local?root="+w.store("two"), "--policy", w.file("policy.yaml"))
		if status != want || !strings.Contains(out.String(), text) {
			t.Errorf("closure: exit status %d, want %d with %q:\n%s", status, want, text, &out)
		}
	}
	check(0, "1 accepted")
	w.attest("carol", verifytest.Digest(9))
	w.await(t, gate, http.StatusNotFound, "diverged")
	if out, err := fetch("diverged"); err == nil {
		t.Errorf("fetched what diverged:\n%s", out)
	}
	check(1, "diverged")
}

// TestNixSwappedNAR: the cache swaps the NAR after the narinfo was let through.
func TestNixSwappedNAR(t *testing.T) {
	w := newNixWorld(t)
	w.attest("alice", w.digest)
	w.attest("bob", w.digest)
	files := http.FileServer(http.Dir(w.cache))
	gate := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/nar/") {
			files.ServeHTTP(rw, r)
			return
		}
		content, err := os.ReadFile(filepath.Join(w.cache, filepath.FromSlash(r.URL.Path)))
		if err != nil {
			t.Error(err)
			return
		}
		content[len(content)/2] ^= 1
		_, _ = rw.Write(content)
	}))
	w.await(t, gate, http.StatusOK, "StorePath: ")
	out, err := w.try(t.Context(), "nix", "copy", "--from", gate, "--to", "local?root="+w.store("client"), w.path)
	if err == nil {
		t.Errorf("fetched a swapped NAR:\n%s", out)
	}
	if _, text := get(t, gate); !strings.Contains(text, w.path) || !strings.Contains(text, "mismatch") {
		t.Errorf("the page does not show it:\n%s", text)
	}
}
