package e2e

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/exectest"
	"repronet.dev/internal/needtest"
)

// releaseNix is a package set with a version and what its packages do. One is not
// reproducible, whatever its version is, and one does not change.
func releaseNix(version, hello string) string {
	return fmt.Sprintf(`{ tools }:
let
  sh = "${builtins.path { name = "tools"; path = tools; }}/busybox";
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = sh;
    args = [ "sh" "-euc" "${sh} mkdir /build/bin; ${sh} --install -s /build/bin; export PATH=/build/bin; ${script}" ];
  };
in {
  hello = build "hello-%[1]s" "%[2]s > $out";
  table = build "table-%[1]s" "seq 1 1000 > $out";
  noisy = build "noisy-%[1]s" "head -c 16 /dev/urandom > $out";
  words = build "words-1" "echo words > $out";
}
`, version, hello)
}

// A pullRequest is a repository with a branch that changes its package set, which two
// operators build before and after.
type pullRequest struct {
	t        *testing.T
	dir      string
	checkout string
	shell    *shell
	server   *server
}

// TestPullRequest follows docs/maintainers.md in a real repository: what a pull request
// changes is evaluated and built by Nix, the recipe for CI runs as it is printed, and names
// the package that the change makes unreproducible, and none beside.
func TestPullRequest(t *testing.T) {
	t.Parallel()
	needtest.Root(t, "build with Nix in stores of its own")
	needtest.Program(t, "nix", "nix-bin")
	needtest.Program(t, "busybox", "busybox-static")
	needtest.Program(t, "git", "git")
	lines := commandsFor(t)
	p := &pullRequest{t: t, dir: t.TempDir()}
	p.checkout = filepath.Join(p.dir, "checkout")
	base, head := releaseNix("1.0", "echo hello"), releaseNix("1.1", "head -c 16 /dev/urandom")
	p.branch(base, head)
	p.server = startAggregator(t)
	p.build(base, head)
	p.shell = newShell(t, "BASE=main", "PULL_REQUEST=7", "PATH="+filepath.Join(p.dir, "bin")+":"+string(programs())+":"+os.Getenv("PATH"))
	p.shell.dir = p.checkout
	pin := p.take(lines, "repronet-verify pin ")
	p.shell.terminal = true
	if r := p.shell.run(t, pin); r.status != 0 {
		t.Fatal(r.said())
	}
	p.shell.terminal = false

	script := "set -e\n" + blockOfDocument(t, "docs/maintainers.md", `git worktree add ../base "origin/$BASE"`)
	if r := p.shell.run(t, script); r.status != 1 {
		t.Errorf("the recipe ends with status %d: %s", r.status, r.said())
	}
	comment := p.read("comment.md")
	for _, want := range []string{"**Reproducibility: 1 of 4 compared outputs regressed**", "- `hello` for `", "`1.0 → 1.1`", "1 still diverged, 2 unchanged"} {
		if !strings.Contains(comment, want) {
			t.Errorf("the comment lacks %q:\n%s", want, comment)
		}
	}
	for _, never := range []string{"noisy", "table", "words"} {
		if strings.Contains(comment, never) {
			t.Errorf("the comment names %s:\n%s", never, comment)
		}
	}
	if said := p.read("gh"); said != "pr comment 7 --edit-last --create-if-none --body-file comment.md\n" {
		t.Errorf("commented by gh %s", said)
	}

	if r := p.shell.run(t, p.take(lines, "repronet-verify compare base.jsonl head.jsonl --policy")+" --config pins.json"); r.status != 1 || strings.Count(r.stdout, "/nix/store/") != 1 {
		t.Errorf("status %d: %s", r.status, r.said())
	}
	for set, file := range map[string]string{"stable": "base.jsonl", "testing": "head.jsonl"} {
		if _, err := p.server.Command(t.Context(), "sets publish", "--revision", "1", "--from", filepath.Join(p.checkout, file), set); err != nil {
			t.Fatal(err)
		}
	}
	readLedger(t, p.server.URL, indexed(t, p.server.URL).LedgerSize) // published
	r := p.shell.run(t, p.take(lines, "repronet-verify promote ")+" --config pins.json")
	if r.status != 1 || strings.Count(r.stdout, "blocks  ") != 1 || !strings.Contains(r.stdout, "blocks  regressed  hello  ") {
		t.Errorf("status %d: %s", r.status, r.said())
	}
	// The server says the same of its own verdicts.
	client := &api.Client{HTTP: http.DefaultClient, Base: p.server.URL}
	indexed(t, p.server.URL)
	excuses, err := client.Excuses(t.Context(), "stable@", "testing@1", 10)
	if err != nil || excuses.Blocked != 1 || excuses.Waiting != 0 || excuses.Changed != 3 || len(excuses.Excuses) != 1 || excuses.Excuses[0].Attribute != "hello" || excuses.Excuses[0].Was.Verdict != api.Reproduced {
		t.Errorf("excuses %+v, %v", excuses, err)
	}
}

// take returns the documented command with a beginning, with the aggregator's address.
func (p *pullRequest) take(lines []string, begins string) string {
	p.t.Helper()
	for _, line := range lines {
		if strings.HasPrefix(line, begins) {
			return strings.ReplaceAll(line, "https://repro.example.org", p.server.URL)
		}
	}
	p.t.Fatalf("no command of %q begins with %q", lines, begins)
	return ""
}

func (p *pullRequest) read(file string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.checkout, file))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func (p *pullRequest) git(dir string, args ...string) {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		p.t.Fatalf("git %q: %v: %s", args, err, out)
	}
}

// branch makes the repository, and a checkout of the branch with the change.
func (p *pullRequest) branch(base, head string) {
	p.t.Helper()
	origin := filepath.Join(p.dir, "origin")
	for _, step := range []struct{ file, text string }{
		{filepath.Join(origin, "release.nix"), base},
		{filepath.Join(origin, "policy.yaml"), "sections:\n- name: everything\n  quorum: 2\n"},
	} {
		write(p.t, step.file, step.text)
	}
	p.git(origin, "init", "--initial-branch", "main")
	p.git(origin, "add", ".")
	p.git(origin, "commit", "--message", "a package set")
	p.git(p.dir, "clone", origin, p.checkout)
	p.git(p.checkout, "checkout", "-b", "change")
	write(p.t, filepath.Join(p.checkout, "release.nix"), head)
	p.git(p.checkout, "commit", "--all", "--message", "a change")
}

// build has two operators build both versions with Nix, and evaluates them.
func (p *pullRequest) build(versions ...string) {
	p.t.Helper()
	tools := filepath.Join(p.dir, "tools")
	if err := network.PrepareTools(tools); err != nil {
		p.t.Fatal(err)
	}
	var files []string
	for _, version := range versions {
		file := filepath.Join(p.dir, fmt.Sprintf("%x.nix", sha256.Sum256([]byte(version))))
		write(p.t, file, version)
		files = append(files, file)
	}
	log := messages(p.t, "the builds")
	group, ctx := errgroup.WithContext(p.t.Context())
	for _, operator := range []string{"alice", "bob"} {
		r, err := network.NewReporter(ctx, p.server.Aggregator, filepath.Join(p.dir, operator, "reporter"), operator, p.server.URL, "--report", "all")
		if err != nil {
			p.t.Fatal(err)
		}
		hook, err := r.InstallHook(ctx)
		if err != nil {
			p.t.Fatal(err)
		}
		group.Go(func() error {
			for _, file := range files {
				store := &network.NixStore{Root: filepath.Join(p.dir, operator, "store"), Set: file, Tools: tools, Hook: hook}
				if err := store.Build(ctx, "", log); err != nil {
					return err
				}
			}
			return r.Submit(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		p.t.Fatal(err)
	}
	indexed(p.t, p.server.URL)
	p.standIns(files, tools)
}

// standIns puts programs of others into the path that no test machine has: nix-eval-jobs,
// which prints what Nix evaluated of the file with these contents, and gh, which notes what
// it was called with.
func (p *pullRequest) standIns(files []string, tools string) {
	p.t.Helper()
	bin := filepath.Join(p.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		p.t.Fatal(err)
	}
	for _, file := range files {
		store := &network.NixStore{Root: filepath.Join(p.dir, "alice", "store"), Set: file, Tools: tools}
		jobs, err := store.EvalJobs(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		write(p.t, strings.TrimSuffix(file, ".nix")+".jsonl", string(jobs))
	}
	for name, text := range map[string]string{
		"nix-eval-jobs": fmt.Sprintf("#!/bin/sh\nexec cat %s/$(sha256sum < \"$2\" | cut -c1-64).jsonl\n", p.dir),
		"gh":            "#!/bin/sh\nprintf '%s\\n' \"$*\" > gh\n",
	} {
		exectest.Write(p.t, filepath.Join(bin, name), text)
	}
}
