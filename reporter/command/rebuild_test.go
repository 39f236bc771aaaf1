package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
)

const rebuildSet = `let
  bb = builtins.path { path = %q; name = "busybox"; };
  mk = name: script: extra: derivation ({
    inherit name; system = builtins.currentSystem; builder = "${bb}/busybox"; args = [ "sh" "-euc" script ]; PATH = "${bb}";
  } // extra);
in rec {
  plain = mk "plain" "echo plain > $out" { };
  onPlain = mk "on-plain" "read x < ${plain}; echo $x > $out" { };
  noise = mk "noise" ''
    read u < /proc/sys/kernel/random/uuid
    busybox mkdir $out $dev $out/lib; echo $u > $out/lib/stamp; echo same > $out/lib/same; busybox ln -s $dev/$u $dev/link; echo doc > $doc
  '' { outputs = [ "out" "dev" "doc" ]; };
  floatingNoise = mk "floating-noise" "read u < /proc/sys/kernel/random/uuid; echo $u > $out"
    { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  broken = mk "broken" "echo this is why; exit 3" { };
  onBroken = mk "on-broken" "read x < ${broken}; echo $x > $out" { };
  endless = mk "endless" "while :; do busybox sleep 1; done" { };
  offline = mk "offline" "[ $(busybox grep -c : /proc/net/dev) = 1 ]; echo > $out" { };
  setuid = mk "setuid" "echo > $out; busybox chmod 6755 $out" { };
  hungry = mk "hungry" "busybox tail /dev/zero" { };
  filling = mk "filling" "busybox dd if=/dev/zero of=$out bs=1M count=400; while :; do busybox sleep 1; done" { };
  forking = mk "forking" "while :; do busybox sleep 60 & done" { };
  fixed = mk "fixed" "echo fixed > $out" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" "fixed\n"; };
  outside = mk "outside" "echo > $out" { __noChroot = true; };
  outsideStructured = mk "outside-structured" "echo > $out" { __noChroot = true; __structuredAttrs = true; };
  builtIn = derivation { name = "built-in"; system = "builtin"; builder = "builtin:buildenv"; derivations = [ ]; manifest = "/dev/null"; };
}
`

// A rebuildBox is a store with recipes, and a reporter that builds them again.
type rebuildBox struct {
	*nixBox
	home  reporter.Home
	place string // of the builds
}

func newRebuildBox(t *testing.T) *rebuildBox {
	t.Helper()
	home := newHome(t)
	b := &rebuildBox{nixBox: newNixBox(t, ""), home: home, place: t.TempDir()}
	set := fmt.Sprintf(rebuildSet, filepath.Join(filepath.Dir(b.store), "tools"))
	if err := os.WriteFile(filepath.Join(filepath.Dir(b.store), "rebuild.nix"), []byte(set), 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

// drv puts a recipe into the store.
func (b *rebuildBox) drv(attribute string) string {
	b.t.Helper()
	out, errs, err := b.run("nix-instantiate", "rebuild.nix", "-A", attribute)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", attribute, err, errs)
	}
	return strings.TrimSpace(out)
}

// made has a recipe built in the store, before anything is built again.
func (b *rebuildBox) made(attribute string) {
	b.t.Helper()
	if _, errs, err := b.run("nix-store", "--realise", b.drv(attribute)); err != nil {
		b.t.Fatalf("%s: %v\n%s", attribute, err, errs)
	}
}

func (b *rebuildBox) command(args ...string) *exec.Cmd {
	args = append([]string{"rebuild", "--dir", string(b.home), "--from", "local?root=" + b.store, "--store", b.place}, args...)
	c := exec.CommandContext(b.t.Context(), binary(b.t), args...)
	// The machine's own hook is there, and is to record nothing of what is built again.
	config := strings.ReplaceAll(b.config, "store = local?root="+b.store+"\n", "")
	c.Env = append(b.env, "NIX_CONFIG="+strings.ReplaceAll(config, "post-build-hook = \n", "post-build-hook = "+hookOf(b.home)+"\n"))
	return c
}

// A rebuilt is what the command prints with --json.
type rebuilt struct {
	Build, Outcome, Failure string
	Log                     []string
	Recorded                int
	Kept                    []string
	Outputs                 []struct {
		Output, Key string
		Builds      []struct{ Of, Digest string }
		Difference  *struct {
			Files, Differ int
			Listed        []struct{ Path, What string }
		}
	}
}

func (b *rebuildBox) rebuild(args ...string) (status int, result rebuilt, said string) {
	b.t.Helper()
	c := b.command(append(args, "--json")...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		b.t.Fatal(err)
	}
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &result); err != nil {
			b.t.Fatalf("%v\n%s", err, &out)
		}
	}
	if left, err := os.ReadDir(b.place); err != nil || len(left) != 0 {
		b.t.Errorf("left behind: %v, %v", left, err)
	}
	return c.ProcessState.ExitCode(), result, errs.String()
}

// records returns what is in the spool of one recipe.
func (b *rebuildBox) records(name string) []*spool.Record {
	b.t.Helper()
	return recorded(b.t, b.home)[name]
}

func occasions(records []*spool.Record) (all []string) {
	for _, r := range records {
		all = append(all, string(r.Occasion)+" "+r.Failure)
	}
	return all
}

// Without an earlier build two are made; with one, one.
func TestRebuildSame(t *testing.T) {
	t.Parallel()
	b := newRebuildBox(t)
	status, result, said := b.rebuild(b.drv("onPlain"))
	if status != 0 || result.Outcome != "reproduced" || len(result.Outputs) != 1 || len(result.Outputs[0].Builds) != 2 {
		t.Fatalf("status %d, %+v\n%s", status, result, said)
	}
	records := b.records("on-plain")
	if diff := cmp.Diff([]string{"rebuild ", "rebuild "}, occasions(records)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	for _, r := range records {
		if r.Started.IsZero() || r.InputsDigest.IsZero() || !strings.HasSuffix(r.Environment["nix"], " in a relocated store") || r.Environment["sandbox"] != "true" {
			t.Errorf("recorded %+v", r)
		}
		if got := r.Outputs[0].Digest.String(); got != result.Outputs[0].Builds[0].Digest {
			t.Errorf("recorded %s, printed %s", got, result.Outputs[0].Builds[0].Digest)
		}
	}
	// The machine's hook was not called: it would look for these builds in another store.
	if s, err := b.home.Spool().Status(); err != nil || len(s.Problems) != 0 {
		t.Errorf("problems: %+v, %v", s.Problems, err)
	}
	if got := b.records("plain"); got != nil {
		t.Errorf("an input is recorded: %v", got)
	}

	b.made("onPlain")
	status, result, said = b.rebuild("on-plain")
	if status != 0 || len(result.Outputs[0].Builds) != 2 || result.Outputs[0].Builds[0].Of != "this machine, before" || result.Recorded != 2 {
		t.Errorf("by name, with an earlier build: status %d, %+v\n%s", status, result, said)
	}
	if inputs := b.records("on-plain"); inputs[0].InputsDigest != records[0].InputsDigest {
		t.Errorf("inputs digests %v, %v", inputs[0].InputsDigest, records[0].InputsDigest)
	}
}

// Nix's own check ends at the first output that differs, and records nothing.
func TestRebuildDiffering(t *testing.T) {
	t.Parallel()
	needtest.Program(t, "diffoscope", "diffoscope-minimal")
	b := newRebuildBox(t)
	b.made("noise")
	keep := filepath.Join(t.TempDir(), "kept")
	status, result, said := b.rebuild("--keep", keep, b.drv("noise"))
	if status != 1 || result.Outcome != "differs" || len(result.Outputs) != 3 {
		t.Fatalf("status %d, %+v\n%s", status, result, said)
	}
	want := map[string]string{"out": "lib/stamp contents 1 of 4", "dev": "link target 1 of 2", "doc": ""}
	digests := map[string]int{}
	for _, o := range result.Outputs {
		got := ""
		if d := o.Difference; d != nil {
			got = fmt.Sprintf("%s %s %d of %d", d.Listed[0].Path, d.Listed[0].What, d.Differ, d.Files)
		}
		if got != want[o.Output] {
			t.Errorf("%s: %q, want %q", o.Output, got, want[o.Output])
		}
		for _, build := range o.Builds {
			digests[o.Key+" "+build.Digest]++
		}
	}
	claimed := map[string]int{}
	for _, r := range b.records("noise") {
		for _, o := range r.Outputs {
			claimed[o.Key+" "+o.Digest.String()]++
		}
	}
	if diff := cmp.Diff(digests, claimed); diff != "" || len(claimed) != 5 {
		t.Errorf("claimed (-printed +recorded):\n%s", diff)
	}
	if len(result.Kept) != 8 {
		t.Fatalf("kept %v\n%s", result.Kept, said)
	}
	report := ""
	for _, file := range result.Kept {
		if strings.HasSuffix(file, "noise/diffoscope.txt") {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			report = string(text)
		}
	}
	if !strings.Contains(report, "lib/stamp") {
		t.Errorf("diffoscope's report is %q", report)
	}

	// A second call does not write over what is kept.
	if status, _, said := b.rebuild("--keep", keep, b.drv("noise")); status != 2 || !strings.Contains(said, "move what is there away") {
		t.Errorf("status %d\n%s", status, said)
	}
}

// What a content-addressed output is called follows from its contents, so that Nix cannot
// compare two builds of it.
func TestRebuildContentAddressed(t *testing.T) {
	t.Parallel()
	b := newRebuildBox(t)
	drv := b.drv("floatingNoise")
	status, result, said := b.rebuild(drv)
	if status != 1 || result.Outputs[0].Key != drv+"^out" || result.Outputs[0].Difference == nil {
		t.Fatalf("status %d, %+v\n%s", status, result, said)
	}
	if records := b.records("floating-noise"); len(records) != 2 || records[0].Outputs[0].Digest == records[1].Outputs[0].Digest {
		t.Errorf("recorded %+v", records)
	}
}

// Builds that come to no output: some say something about the recipe, others do not.
func TestRebuildFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args     []string
		outcome  string // "" where there is no result
		recorded string // the failure; "" if nothing is recorded
		said     string
	}{
		"broken":            {outcome: "failed", recorded: "the builder exited with status 3"},
		"endless":           {args: []string{"--timeout", "2s"}, outcome: "timed out", recorded: "the builder was ended after 2s"},
		"onBroken":          {said: "an input cannot be had"},
		"hungry":            {args: []string{"--memory", "100"}, said: "it took more than 100 MiB of memory"},
		"filling":           {args: []string{"--disk", "100"}, said: "became less by more than 100 MiB"},
		"forking":           {args: []string{"--processes", "60"}, said: "it had more than 60 processes at once"},
		"fixed":             {said: "its output is fixed by a hash"},
		"outside":           {said: "it asks to be built outside of the sandbox"},
		"outsideStructured": {said: "it asks to be built outside of the sandbox"},
		"builtIn":           {said: "runs outside of the sandbox"},
	}
	b := newRebuildBox(t)
	for attribute, test := range tests {
		status, result, said := b.rebuild(append(test.args, b.drv(attribute))...)
		if status != 2 || result.Outcome != test.outcome || !strings.Contains(said, test.said) {
			t.Errorf("%s: status %d, %+v\n%s", attribute, status, result, said)
		}
		var failures []string
		for _, r := range recorded(t, b.home)[strings.ReplaceAll(attribute, "Str", "-str")] {
			if r.Type != attestation.BuildFailed || r.Recipe.IsZero() {
				t.Errorf("%s: recorded %+v", attribute, r)
			}
			failures = append(failures, r.Failure)
		}
		if got := strings.Join(failures, ", "); got != test.recorded {
			t.Errorf("%s: recorded %q, want %q", attribute, got, test.recorded)
		}
	}
	if _, result, _ := b.rebuild(b.drv("broken")); !strings.Contains(strings.Join(result.Log, "\n"), "this is why") {
		t.Errorf("the log ends with %q", result.Log)
	}
}

// What a build may not do it cannot do.
func TestRebuildConfined(t *testing.T) {
	t.Parallel()
	b := newRebuildBox(t)
	if status, result, said := b.rebuild(b.drv("offline")); status != 0 {
		t.Errorf("a build sees a network: status %d, %+v\n%s", status, result, said)
	}
	status, result, said := b.rebuild(b.drv("setuid"))
	if status != 2 || result.Outcome != "failed" || !strings.Contains(strings.Join(result.Log, "\n"), "Operation not permitted") {
		t.Errorf("a build makes a setuid program: status %d, %+v\n%s", status, result, said)
	}
}

// A rebuild that is killed leaves a store behind, which the next one deletes; one that is
// still at work keeps its own.
func TestRebuildKilled(t *testing.T) {
	t.Parallel()
	b := newRebuildBox(t)
	c := b.command(b.drv("endless"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	building := func() []string {
		found, err := filepath.Glob(filepath.Join(b.place, "*", "nix/store/*.lock"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(building()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the build does not begin")
		}
	}
	other := b.command("--no-record", b.drv("plain"))
	if out, err := other.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(building()) == 0 {
		t.Fatal("one rebuild deleted the store of another")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	// The build is told to end; what it leaves is deleted once it has.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if out, err := b.command("--no-record", b.drv("plain")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		left, err := os.ReadDir(b.place)
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v, %v", left, err)
		}
	}
}
