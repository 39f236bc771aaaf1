package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/internal/exectest"
	"repronet.dev/internal/needtest"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
)

// A nixBox is a Nix store of its own with the logical path /nix/store.
type nixBox struct {
	t      testing.TB
	store  string
	config string
	env    []string
}

const nixSet = `let
  bb = builtins.path { path = %q; name = "busybox"; };
  mk = name: script: extra: derivation ({
    inherit name; system = builtins.currentSystem; builder = "${bb}/busybox"; args = [ "sh" "-euc" script ]; PATH = "${bb}";
  } // extra);
in rec {
  plain = mk "plain" "echo plain > $out" { };
  dependent = mk "dependent" "read x < ${plain}; echo $x ${plain} > $out" { };
  random = mk "random" "read u < /proc/sys/kernel/random/uuid; echo $u > $out" { };
  multi = mk "multi" "busybox mkdir $out $dev; echo lib > $out/lib; echo header > $dev/header; busybox ln -s $out/lib $dev/link; busybox chmod +x $out/lib" { outputs = [ "out" "dev" ]; };
  fixed = mk "fixed" "echo fixed > $out" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" "fixed\n"; };
  floating = mk "floating" "echo floating > $out" { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  onFloating = mk "onFloating" "read x < ${floating}; echo $x > $out" { };
  broken = mk "broken" "exit 3" { };
}
`

func newNixBox(t testing.TB, hook string) *nixBox {
	t.Helper()
	needtest.Program(t, "nix-build", "nix-bin")
	busybox := needtest.Program(t, "busybox", "busybox-static")
	dir := t.TempDir()
	// Nix makes store directories unwritable, which also stops their removal.
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", dir).Run() })
	tools := filepath.Join(dir, "tools")
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tools, "busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "set.nix"), fmt.Appendf(nil, nixSet, tools), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &nixBox{t: t, store: filepath.Join(dir, "store")}
	b.config = "build-users-group =\nsandbox = true\nsubstituters =\nexperimental-features = nix-command ca-derivations\n" +
		"store = local?root=" + b.store + "\npost-build-hook = " + hook + "\n"
	b.env = append(os.Environ(), "HOME="+dir, "NIX_REMOTE=", "TMPDIR=/tmp")
	return b
}

// run runs a command of Nix and returns what it printed, and its error.
func (b *nixBox) run(name string, args ...string) (stdout, stderr string, err error) {
	b.t.Helper()
	c := exec.CommandContext(b.t.Context(), name, args...)
	c.Env = append(b.env, "NIX_CONFIG="+b.config)
	c.Dir = filepath.Dir(b.store)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	return out.String(), errs.String(), err
}

func (b *nixBox) build(args ...string) string {
	b.t.Helper()
	out, errs, err := b.run("nix-build", append([]string{"set.nix", "--no-out-link"}, args...)...)
	if err != nil {
		b.t.Fatalf("nix-build %v: %v\n%s", args, err, errs)
	}
	b.t.Log(errs)
	return strings.TrimSpace(out)
}

// newHome makes an installation without an aggregator that answers.
func newHome(t testing.TB) reporter.Home {
	t.Helper()
	home := reporter.Home(filepath.Join(t.TempDir(), "home"))
	_, err := home.Prepare(t.Context(), reporter.Setup{
		Aggregator: "http://127.0.0.1:1", ReportAll: true, Operator: "alice", Consent: func() error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := reporter.InstallHook(&reporter.Hook{File: hookOf(home), Program: binary(t), Home: home}); err != nil {
		t.Fatal(err)
	}
	return home
}

func hookOf(home reporter.Home) string { return string(home) + "-hook" }

// recorded returns the records in the spool by the name of their derivation.
func recorded(t testing.TB, home reporter.Home) map[string][]*spool.Record {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(string(home), "spool", "queue", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	records := make(map[string][]*spool.Record)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r spool.Record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(r.Build[len("/nix/store/")+33:], ".drv")
		records[name] = append(records[name], &r)
	}
	return records
}

// pathHash asks Nix for the NAR hash of a path, by dumping it.
func (b *nixBox) pathHash(storePath string) attestation.Digest {
	b.t.Helper()
	out, errs, err := b.run("nix-store", "--dump", filepath.Join(b.store, storePath))
	if err != nil {
		b.t.Fatalf("dumping %s: %v\n%s", storePath, err, errs)
	}
	return sha256.Sum256([]byte(out))
}

func TestHookNix(t *testing.T) {
	home := newHome(t)
	b := newNixBox(t, hookOf(home))
	attributes := []string{"plain", "dependent", "random", "multi", "fixed", "floating", "onFloating"}
	var args []string
	for _, a := range attributes {
		args = append(args, "-A", a)
	}
	b.build(args...)
	records := recorded(t, home)
	want := []string{"dependent", "floating", "multi", "onFloating", "plain", "random"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(records))); diff != "" {
		t.Fatalf("recorded (-want +got):\n%s", diff)
	}
	for name, rs := range records {
		if len(rs) != 1 {
			t.Errorf("%s is recorded %d times", name, len(rs))
			continue
		}
		r := rs[0]
		for _, o := range r.Outputs {
			path := o.Key
			if strings.Contains(path, "^") {
				path = b.build("-A", name)
			}
			if got := b.pathHash(path); got != o.Digest {
				t.Errorf("%s: recorded %v, Nix dumps %v", o.Key, o.Digest, got)
			}
		}
		if r.Occasion != attestation.OccasionBuild {
			t.Errorf("%s: occasion %s", name, r.Occasion)
		}
	}
	if outputs := records["multi"][0].Outputs; len(outputs) != 2 {
		t.Errorf("multi: outputs %v, want 2", outputs)
	}
	if key := records["floating"][0].Outputs[0].Key; !strings.HasSuffix(key, "-floating.drv^out") {
		t.Errorf("floating: key %s", key)
	}
	plain := records["plain"][0].Outputs[0]
	// No input of plain is addressed by anything but its content.
	if got, want := records["plain"][0].InputsDigest, attestation.Digest(sha256.Sum256(nil)); got != want {
		t.Errorf("plain: inputs digest %v, want %v", got, want)
	}
	line := fmt.Sprintf("%s %s\n", plain.Key, plain.Digest.Hex())
	if got, want := records["dependent"][0].InputsDigest, attestation.Digest(sha256.Sum256([]byte(line))); got != want {
		t.Errorf("dependent: inputs digest %v, want %v", got, want)
	}
	env := records["plain"][0].Environment
	t.Logf("environment: %v", env)
	for _, trait := range []string{"nix", "system", "kernel", "cores", "sandbox", "tz", "umask", "buildDir"} {
		if env[trait] == "" {
			t.Errorf("environment has no %s", trait)
		}
	}
	if version, _, err := b.run("nix", "--version"); err != nil || strings.TrimPrefix(strings.TrimSpace(version), "nix (Nix) ")+" in a relocated store" != env["nix"] {
		t.Errorf("Nix is %q, recorded as %q (%v)", version, env["nix"], err)
	}
	if len(env["nix"]) > 0 && !regexp.MustCompile(`^\d+\.\d+`).MatchString(env["nix"]) {
		t.Errorf("nix %q", env["nix"])
	}
	if status, err := home.Spool().Status(); err != nil || len(status.Problems) != 0 {
		t.Errorf("problems: %+v, %v", status.Problems, err)
	}
}

// A check that passes is recorded again.
func TestHookNixCheck(t *testing.T) {
	home := newHome(t)
	b := newNixBox(t, hookOf(home))
	b.build("-A", "plain")
	b.build("-A", "plain", "--check")
	if got := len(recorded(t, home)["plain"]); got != 2 {
		t.Errorf("recorded %d times, want twice", got)
	}
}

// What another machine built is not this builder's to attest.
func TestHookNixRemote(t *testing.T) {
	home := newHome(t)
	needtest.Program(t, "sqlite3", "sqlite3")
	b := newNixBox(t, "")
	path := b.build("-A", "plain")
	drv, errs, err := b.run("nix-instantiate", "set.nix", "-A", "plain")
	if err != nil {
		t.Fatal(errs)
	}
	db := filepath.Join(b.store, "nix/var/nix/db/db.sqlite")
	if out, err := exec.CommandContext(t.Context(), "sqlite3", db, "UPDATE ValidPaths SET ultimate = NULL WHERE path = '"+path+"'").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.env = append(b.env, "DRV_PATH="+strings.TrimSpace(drv), "OUT_PATHS="+path)
	if _, errs, err := b.run(hookOf(home)); err != nil || errs != "" {
		t.Errorf("hook: %v, %s", err, errs)
	}
	if got := recorded(t, home); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

// Without a database to read, the outputs are hashed.
func TestHookNixWithoutDatabase(t *testing.T) {
	home := newHome(t)
	b := newNixBox(t, "")
	b.build("-A", "multi")
	drv, errs, err := b.run("nix-instantiate", "set.nix", "-A", "multi")
	if err != nil {
		t.Fatal(errs)
	}
	if err := os.Rename(filepath.Join(b.store, "nix/var/nix/db"), filepath.Join(b.store, "db")); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "DRV_PATH="+strings.TrimSpace(drv), "OUT_PATHS=")
	if _, errs, err := b.run(hookOf(home)); err != nil || errs != "" {
		t.Errorf("hook: %v, %s", err, errs)
	}
	r := recorded(t, home)["multi"]
	if len(r) != 1 || len(r[0].Outputs) != 2 {
		t.Fatalf("recorded %v", r)
	}
	for _, o := range r[0].Outputs {
		if got := b.pathHash(o.Key); got != o.Digest {
			t.Errorf("%s: recorded %v, Nix dumps %v", o.Key, o.Digest, got)
		}
	}
	if !r[0].InputsDigest.IsZero() {
		t.Error("an inputs digest from nowhere")
	}
}

// A hook that cannot do its work says so, and Nix goes on building.
func TestHookNixNeverFails(t *testing.T) {
	breakages := map[string]func(t *testing.T, home reporter.Home){
		"no directory": func(t *testing.T, home reporter.Home) { mustRemove(t, string(home)+"/spool") },
		"spool is a file": func(t *testing.T, home reporter.Home) {
			mustRemove(t, string(home)+"/spool/queue")
			if err := os.WriteFile(string(home)+"/spool/queue", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"program is gone": func(t *testing.T, home reporter.Home) {
			text, err := os.ReadFile(hookOf(home))
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.ReplaceAll(text, []byte(binary(t)), []byte("/nowhere/repronet-reporter"))
			exectest.Write(t, hookOf(home), text)
		},
	}
	for name, breakIt := range breakages {
		t.Run(name, func(t *testing.T) {
			home := newHome(t)
			b := newNixBox(t, hookOf(home))
			breakIt(t, home)
			_, errs, err := b.run("nix-build", "set.nix", "--no-out-link", "-A", "dependent")
			if err != nil {
				t.Errorf("the build failed: %v\n%s", err, errs)
			}
			if !strings.Contains(errs, "repronet-reporter") {
				t.Errorf("nothing was said:\n%s", errs)
			}
		})
	}
}

func mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkHookNix is what a build waits for: the hook's whole process.
func BenchmarkHookNix(b *testing.B) {
	home := newHome(b)
	box := newNixBox(b, "")
	path := box.build("-A", "dependent")
	drv, errs, err := box.run("nix-instantiate", "set.nix", "-A", "dependent")
	if err != nil {
		b.Fatal(errs)
	}
	box.env = append(box.env, "DRV_PATH="+strings.TrimSpace(drv), "OUT_PATHS="+path)
	box.env = append(box.env, "NIX_CONFIG="+box.config)
	fastest, cpu := time.Hour, time.Duration(0)
	for b.Loop() {
		hook := exec.CommandContext(b.Context(), binary(b), "hook", "nix", "--dir", string(home))
		hook.Env = box.env
		start := time.Now()
		if out, err := hook.CombinedOutput(); err != nil || len(out) != 0 {
			b.Fatalf("%v: %s", err, out)
		}
		fastest = min(fastest, time.Since(start))
		cpu += hook.ProcessState.UserTime() + hook.ProcessState.SystemTime()
	}
	b.ReportMetric(fastest.Seconds()*1000, "fastest-ms")
	b.ReportMetric(cpu.Seconds()*1000/float64(b.N), "CPU-ms/op")
}
