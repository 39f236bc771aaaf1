//go:build long

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/needtest"
)

// A packager makes the release of the checkout's commit.
type packager struct {
	dir    string // of its clone and whatever else it has
	before []string
	env    []string
}

// make clones the checkout, makes its release, and returns the directory.
func (p *packager) make(t *testing.T, args ...string) string {
	t.Helper()
	clone := filepath.Join(p.dir, "clone")
	must(t, exec.CommandContext(t.Context(), "git", "clone", "--quiet", needtest.Checkout(), clone))
	must(t, exec.CommandContext(t.Context(), "chmod", "-R", "a+rwX", p.dir))
	args = slices.Concat(p.before, []string{"make", "packages"}, args)
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Dir, command.Env = clone, append(os.Environ(), p.env...)
	must(t, command)
	return filepath.Join(clone, "dist")
}

// must runs a command that has to succeed.
func must(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, out)
	}
	return string(out)
}

// TestOwnRelease makes the release of this commit twice, in ways that differ in all that often
// gets into a build, and has our own network say that it is reproduced.
func TestOwnRelease(t *testing.T) {
	needtest.Root(t, "build as another user")
	elsewhere := filepath.Join(t.TempDir(), "a longer path", "with spaces")
	for dir := elsewhere; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = os.Chmod(dir, 0o755)
	}
	home := filepath.Join(elsewhere, "home")
	for _, dir := range []string{home, filepath.Join(elsewhere, "tmp")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	ways := map[string]*packager{
		"alice": {dir: t.TempDir(), before: []string{"sh", "-c", `umask 022; exec "$@"`, "sh"}, env: []string{"TZ=UTC", "LC_ALL=C.UTF-8"}},
		"bob": {
			dir: elsewhere,
			before: []string{
				"setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "taskset", "1", "sh", "-c", `umask 027; git config --global --add safe.directory '*'; exec "$@"`, "sh",
			},
			env: []string{
				"HOME=" + home, "USER=bob", "LOGNAME=bob", "TMPDIR=" + filepath.Join(elsewhere, "tmp"), "GOCACHE=", "GOPATH=", "GOMODCACHE=", "XDG_CACHE_HOME=",
				"TZ=Pacific/Kiritimati", "LC_ALL=C", "GOMAXPROCS=1", "GOAMD64=v3", "GOFLAGS=-modcacherw",
			},
		},
	}
	w := newPlainWorld(t)
	sums := map[string]string{}
	var files []string
	for operator, way := range ways {
		dist := way.make(t)
		text, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[operator] = string(text)
		reporter, err := network.NewReporter(t.Context(), w, filepath.Join(t.TempDir(), operator), operator, w.URL, "--report", "all")
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"--ecosystem", "release", "--build", "repronet"}
		files = files[:0]
		for line := range strings.Lines(string(text)) {
			_, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			files = append(files, name)
			args = append(args, "--output", name+"="+filepath.Join(dist, name))
		}
		if err := reporter.Attest(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
		if err := reporter.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if sums["alice"] != sums["bob"] {
		t.Errorf("the releases differ:\n%s\n%s", sums["alice"], sums["bob"])
	}
	config := filepath.Join(t.TempDir(), "verify.json")
	verify := func(args ...string) string {
		return must(t, exec.CommandContext(t.Context(), programs().Verify(), append(args, "--config", config, "--mirror", config+"-mirror")...))
	}
	verify("pin", "--yes", "--aggregator", w.URL)
	for _, name := range files {
		t.Log(strings.SplitN(verify("output", "--ecosystem", "release", "repronet/"+name, "--quorum", "2"), "\n", 2)[0])
	}
}

func newPlainWorld(t *testing.T) *network.Aggregator {
	t.Helper()
	server, err := network.StartAggregator(context.WithoutCancel(t.Context()), programs(), filepath.Join(t.TempDir(), "data"), t.Output(), "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// TestInstalled installs, runs, upgrades, removes and purges the packages in a Debian root.
func TestInstalled(t *testing.T) {
	needtest.Root(t, "install packages")
	needtest.Program(t, "mmdebstrap", "mmdebstrap")
	older, newer := &packager{dir: t.TempDir()}, &packager{dir: t.TempDir()}
	before, after := older.make(t, "VERSION=v0.9.0", "PLATFORMS=linux/amd64"), newer.make(t, "VERSION=v0.9.1", "PLATFORMS=linux/amd64")

	root := filepath.Join(t.TempDir(), "root")
	must(t, exec.CommandContext(t.Context(), "mmdebstrap", "--quiet", "--variant=minbase", "--include=man-db,bash-completion,systemd", "bookworm", root, "/etc/apt/sources.list.d/debian.sources"))
	proc := filepath.Join(root, "proc") // as on a machine that runs
	must(t, exec.CommandContext(t.Context(), "mount", "-t", "proc", "proc", proc))
	t.Cleanup(func() {
		if out, err := exec.Command("umount", proc).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	in := func(command string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "chroot", root, "sh", "-ec", command)
		c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"} // nothing of this machine's
		return must(t, c)
	}
	install := func(dist, version string) {
		t.Helper()
		for _, name := range []string{"aggregator", "reporter", "verify", "engine"} {
			file := fmt.Sprintf("repronet-%s_%s_amd64.deb", name, version)
			must(t, exec.CommandContext(t.Context(), "cp", filepath.Join(dist, file), filepath.Join(root, "tmp", file)))
		}
		in("dpkg --force-unsafe-io -i /tmp/repronet-*_" + version + "_amd64.deb && rm /tmp/*.deb")
	}
	expect := func(command, want string) {
		t.Helper()
		if got := in(command); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	server := newPlainWorld(t)
	install(before, "0.9.0")
	for _, program := range []string{"aggregator", "reporter", "verify"} {
		expect("repronet-"+program+" version", "v0.9.0")
		expect("man -P cat repronet-"+program, "DESCRIPTION")
		expect("apropos repronet-"+program, "repronet-"+program)
	}
	expect("MANWIDTH=80 man --warnings repronet-reporter-rebuild 2>&1 >/dev/null", "")
	expect("stat -c %U:%a /var/lib/repronet-reporter", "repronet-reporter:700")
	expect("bash -ic 'source /usr/share/bash-completion/completions/repronet-verify; complete -p repronet-verify'", "_repronet_verify")

	// As docs/volunteers.md says. Without systemd as the first process, services are enabled only.
	asked := strings.NewReplacer("https://repro.example.org", server.URL, " --sets nixos-unstable", " --report all --consent-cc0",
		"./dist/", "/tmp/", "_0.2.0_", "_0.9.0_", "apt-get install -y", "dpkg -i", "enable --now", "enable")
	must(t, exec.CommandContext(t.Context(), "cp", filepath.Join(before, "repronet-reporter_0.9.0_amd64.deb"), filepath.Join(root, "tmp")))
	in("mkdir /etc/nix") // as Nix has it
	for _, command := range commandsFor(t) {
		in(asked.Replace(command))
	}
	expect("systemctl is-enabled repronet-reporter", "enabled")
	expect("systemd-analyze verify /usr/lib/systemd/system/repronet-*.service 2>&1; XDG_RUNTIME_DIR=/tmp systemd-analyze --user verify /usr/lib/systemd/user/repronet-watch.* 2>&1", "")
	const as = "runuser -u repronet-reporter -- "
	in("echo post-build-hook = /etc/nix/repronet-post-build-hook >> /etc/nix/nix.conf")
	in("/etc/nix/repronet-post-build-hook")
	in("echo made > /tmp/made && chmod 644 /tmp/made && " + as + "repronet-reporter attest --dir /var/lib/repronet-reporter --build alice/made-1 --output out=/tmp/made")
	key := in("sha256sum /var/lib/repronet-reporter/key.pem")
	in("mkdir /tmp/ledger && repronet-aggregator init --data /tmp/ledger --origin example.org/ledger")
	expect("repronet-aggregator serve --check --data /tmp/ledger --listen 127.0.0.1:0", "engine")

	install(after, "0.9.1")
	expect("repronet-reporter version", "v0.9.1")
	if got := in("sha256sum /var/lib/repronet-reporter/key.pem"); got != key {
		t.Errorf("after the upgrade the key is another: %s, %s", key, got)
	}
	expect(as+"repronet-reporter status --dir /var/lib/repronet-reporter", "1")
	expect("cat /etc/nix/repronet-post-build-hook", "hook nix")

	in("dpkg -r repronet-reporter repronet-verify repronet-aggregator repronet-engine")
	in("/etc/nix/repronet-post-build-hook") // nix.conf names it: it breaks no build
	expect("ls /var/lib/repronet-reporter", "key.pem")
	in("dpkg -P repronet-reporter repronet-aggregator")
	expect("ls -d /var/lib/repronet-reporter /usr/bin/repronet-* /etc/repronet 2>&1 || :", "No such file")
	if left := in("find / -xdev -path /proc -prune -o -name '*repronet*' -print | grep -v -e ^/tmp -e /var/lib/dpkg -e /var/log -e /var/cache/man || :"); strings.TrimSpace(left) != "/etc/nix/repronet-post-build-hook" {
		t.Errorf("the packages left behind:\n%s", left)
	}

	// Where the machine has rpm, it reads the others.
	for _, file := range []string{"repronet-reporter-0.9.1-1.x86_64.rpm", "repronet-engine-0.9.1-1.x86_64.rpm"} {
		if out := must(t, exec.CommandContext(t.Context(), needtest.Program(t, "rpm", "rpm"), "-qp", "--scripts", "--list", filepath.Join(after, file))); !strings.Contains(out, "/usr/") {
			t.Errorf("%s: %s", file, out)
		}
	}
}
