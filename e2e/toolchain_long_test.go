//go:build long

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"repronet.dev/e2e/network"
)

// TestToolchain builds the Go toolchain from its source, and has the network compare it with what
// the Go project publishes: the module golang.org/toolchain, a zip file whose bytes anybody can
// make again (https://go.dev/rebuild).
func TestToolchain(t *testing.T) {
	version := "v0.0.1-" + runtime.Version() + "." + runtime.GOOS + "-" + runtime.GOARCH
	var published struct{ Zip, Dir string }
	out := must(t, exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "golang.org/toolchain@"+version))
	if err := json.Unmarshal([]byte(out), &published); err != nil {
		t.Fatal(err)
	}
	// The module cache cannot be written to, and a build writes into its source.
	source := filepath.Join(t.TempDir(), "go")
	must(t, exec.CommandContext(t.Context(), "cp", "-r", "--no-preserve=mode", published.Dir, source))
	must(t, exec.CommandContext(t.Context(), "sh", "-c", `rm -rf "$1"/bin "$1"/pkg; chmod +x "$1"/src/*.bash`, "sh", source))
	build := exec.CommandContext(t.Context(), "./make.bash", "-distpack")
	build.Dir = filepath.Join(source, "src")
	build.Env = append(os.Environ(), "GOROOT_BOOTSTRAP="+strings.TrimSpace(must(t, exec.CommandContext(t.Context(), "go", "env", "GOROOT"))), "GOTOOLCHAIN=local", "GOROOT=", "GOFLAGS=", "GO111MODULE=", "GOCACHE="+t.TempDir())
	t.Log(must(t, build))
	made := filepath.Join(source, "pkg", "distpack", version+".zip")

	w := newPlainWorld(t)
	for operator, zip := range map[string]string{"publisher": published.Zip, "rebuilder": made} {
		reporter, err := network.NewReporter(t.Context(), w, filepath.Join(t.TempDir(), operator), operator, w.URL, "--report", "all")
		if err != nil {
			t.Fatal(err)
		}
		if err := reporter.Attest(t.Context(), "--ecosystem", "go", "--build", "golang.org/toolchain@"+version, "--output", "zip="+zip, "--trait", "go="+runtime.Version()); err != nil {
			t.Fatal(err)
		}
		if err := reporter.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(t.TempDir(), "verify.json")
	verify := func(args ...string) string {
		return must(t, exec.CommandContext(t.Context(), programs().Verify(), append(args, "--config", config, "--mirror", config+"-mirror")...))
	}
	verify("pin", "--yes", "--aggregator", w.URL)
	if said := verify("output", "--ecosystem", "go", "golang.org/toolchain@"+version+"^zip", "--quorum", "2"); !strings.Contains(said, "reproduced") {
		t.Error(said)
	} else {
		t.Log(said)
	}
}
