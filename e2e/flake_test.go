package e2e

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
	"repronet.dev/verify"
)

// TestFlake evaluates flake.nix with a stand-in for nixpkgs: all packages and shells, for
// each system.
func TestFlake(t *testing.T) {
	t.Parallel()
	f := newFlake(t)
	f.nix(t, "flake", "check", "--no-build", f.source)
	var packages map[string]struct {
		Subpackages []string `json:"subPackages"`
		VendorHash  string   `json:"vendorHash"`
	}
	text := f.nix(t, "eval", "--json", f.source+"#packages.x86_64-linux", "--apply", "builtins.mapAttrs (_: p: p.arguments)")
	if err := json.Unmarshal(text, &packages); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	got := map[string][]string{}
	for name, p := range packages {
		got[name] = p.Subpackages
	}
	want := map[string][]string{
		"repronet-aggregator": {"cmd/repronet-aggregator"}, "repronet-reporter": {"cmd/repronet-reporter"},
		"repronet-verify": {"cmd/repronet-verify"}, "default": {"cmd/repronet-verify"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if sum := vendorHash(t); packages["default"].VendorHash != sum {
		t.Errorf("the dependencies have changed: in flake.nix, write vendorHash = %q", sum)
	}
	f.nix(t, "eval", "--raw", f.source+"#devShells.x86_64-linux.default.drvPath")
}

// vendorHash is the hash of what buildGoModule of nixpkgs fetches: the NAR hash of what
// `go mod vendor` makes.
func vendorHash(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "vendor")
	command := exec.CommandContext(t.Context(), "go", "mod", "vendor", "-o", dir)
	command.Dir = ".."
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go mod vendor: %v\n%s", err, out)
	}
	sum, err := verify.HashPath(dir, attestation.NAR)
	if err != nil {
		t.Fatal(err)
	}
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// A flake is a copy of the source, evaluated in a Nix store of the test's own.
type flake struct{ source, store, home, nixpkgs string }

func newFlake(t *testing.T) *flake {
	t.Helper()
	needtest.Program(t, "nix", "nix-bin")
	source := copySource(t)
	f := &flake{"path:" + source, t.TempDir(), t.TempDir(), "path:" + filepath.Join(source, "e2e", "testdata", "nixpkgs")}
	t.Cleanup(func() { // what is in a store cannot be written to, nor removed by its owner
		err := filepath.WalkDir(f.store, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	return f
}

// nix runs a command with the stand-in, without network, and returns its standard
// output.
func (f *flake) nix(t *testing.T, args ...string) []byte {
	t.Helper()
	args = append(args, "--extra-experimental-features", "nix-command flakes", "--store", f.store,
		"--offline", "--no-write-lock-file", "--override-input", "nixpkgs", f.nixpkgs)
	command := exec.CommandContext(t.Context(), "nix", args...)
	command.Env = append(os.Environ(), "HOME="+f.home, "XDG_CACHE_HOME="+f.home, "XDG_CONFIG_HOME="+f.home)
	stderr := messages(t, "nix")
	command.Stderr = stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("nix %v: %v", args, err)
	}
	return out
}
