package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/internal/needtest"
	"repronet.dev/internal/version"
)

// TestVersion builds a program of a repository with a tag, as `make build` does, and
// asks it what it was built from: at the tag, after a change, and without a repository.
func TestVersion(t *testing.T) {
	t.Parallel()
	needtest.Program(t, "git", "git")
	source := copySource(t)
	git := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		command.Dir = source
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet")
	git("add", "--all")
	git("commit", "--quiet", "--message", "all")
	git("tag", "v0.98.7")
	commit := git("rev-parse", "HEAD")

	got := builtVersion(t, source, "-buildvcs=true")
	if got.Version != "v0.98.7" || got.Commit != commit || got.Modified || got.CommitTime.IsZero() {
		t.Errorf("at the tag v0.98.7, commit %s: %+v", commit, got)
	}
	write(t, filepath.Join(source, "README.md"), "changed\n")
	got = builtVersion(t, source, "-buildvcs=true")
	if !strings.HasSuffix(got.Version, "+dirty") || got.Commit != commit || !got.Modified {
		t.Errorf("with a changed file: %+v", got)
	}
	got = builtVersion(t, source, "-buildvcs=false", "-ldflags=-X repronet.dev/internal/version.tag=v1.2.3 -X repronet.dev/internal/version.commit="+commit)
	if got.Version != "v1.2.3" || got.Commit != commit {
		t.Errorf("by the linker: %+v", got)
	}
	got = builtVersion(t, source, "-buildvcs=false")
	if got.Version != version.Unknown || got.Commit != "" || !strings.HasPrefix(got.Go, "go1.") || !strings.Contains(got.Platform, "/") {
		t.Errorf("without a repository: %+v", got)
	}
}

// TestProgramsSayTheirVersion asks the three programs of the other tests.
func TestProgramsSayTheirVersion(t *testing.T) {
	for _, program := range []string{programs().Aggregator(), programs().Reporter(), programs().Verify()} {
		for _, flag := range []string{"version", "--version"} {
			out, err := exec.CommandContext(t.Context(), program, flag).Output()
			if err != nil || !strings.HasPrefix(string(out), filepath.Base(program)+" ") || !strings.Contains(string(out), "toolchain go1.") {
				t.Errorf("%s %s: %v\n%s", program, flag, err, out)
			}
		}
	}
}

// builtVersion builds repronet-verify, and returns what it says of itself.
func builtVersion(t *testing.T, source string, flags ...string) (info version.Info) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "repronet-verify")
	build := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-trimpath"}, flags...), "-o", program, "./cmd/repronet-verify")...)
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %v: %v\n%s", flags, err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "version", "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &info)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return info
}

// copySource copies the source, without a repository and what is made from it.
func copySource(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const root = ".."
	made := []string{".git", "bin", "run", "dist", "node_modules"}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains(made, d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), content, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
