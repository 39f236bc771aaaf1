package reporter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/reporter"
	"repronet.dev/reporter/submittest"
)

// found returns what an examination says of each part, the worst of it.
func found(findings []reporter.Finding) map[string]reporter.Finding {
	worst := map[string]reporter.Finding{}
	rank := map[reporter.Condition]int{reporter.Well: 0, reporter.Odd: 1, reporter.Wrong: 2}
	for _, f := range findings {
		if before, ok := worst[f.Part]; !ok || rank[f.Condition] > rank[before.Condition] {
			worst[f.Part] = f
		}
	}
	return worst
}

// TestDoctor breaks one thing after the other.
func TestDoctor(t *testing.T) {
	t.Parallel()
	a := submittest.New(t)
	home, _ := prepare(t, a, nil)
	if _, err := desk(t, home).Ask(t.Context(), reporter.Asking{}); err != nil {
		t.Fatal(err)
	}
	hook, conf := filepath.Join(t.TempDir(), "hook"), filepath.Join(t.TempDir(), "nix.conf")
	now := time.Now
	examine := func() map[string]reporter.Finding {
		e := reporter.Examination{Home: home, HookFile: hook, NixConfigs: []string{conf}, Now: func() time.Time { return now() }}
		return found(e.Run(t.Context()))
	}
	expect := func(what, part string, c reporter.Condition, says string) {
		t.Helper()
		if f := examine()[part]; f.Condition != c || !strings.Contains(f.Says, says) || (c == reporter.Wrong && f.Do == "") {
			t.Errorf("%s: %s is %+v, want %s, %q", what, part, f, c, says)
		}
	}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for part, f := range examine() {
		if f.Condition == reporter.Wrong {
			t.Errorf("of a new installation: %s %+v", part, f)
		}
	}
	expect("enrolled", "enrolment", reporter.Well, "enrolled as")

	program := filepath.Join(t.TempDir(), "repronet-reporter")
	write(program, "")
	if err := reporter.InstallHook(&reporter.Hook{File: hook, Program: program, Home: home}); err != nil {
		t.Fatal(err)
	}
	expect("not named", "hook", reporter.Odd, "no setting of Nix names it")
	write(conf, "post-build-hook = "+hook+"\n")
	expect("named", "hook", reporter.Well, conf)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	expect("program gone", "hook", reporter.Wrong, "cannot be executed")
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	expect("hook gone", "hook", reporter.Wrong, "which is not there")

	now = func() time.Time { return time.Now().Add(time.Hour) }
	// The Date header has whole seconds, so that the distance is rounded either way.
	expect("another clock", "clock", reporter.Wrong, "are -1h0m")
	now = time.Now

	put(t, home, 1)
	expect("waiting", "delivery", reporter.Wrong, "'run' was never called")

	logKey := filepath.Join(string(home), "log.key")
	was, err := os.ReadFile(logKey)
	if err != nil {
		t.Fatal(err)
	}
	write(logKey, "example.org/log+3f8a2e24+AWl9bvzVXkzp3wx1S0wVCYVyHzSLZJwH1r6fFyB3V0iF\n")
	if f := examine()["log key"]; f.Condition != reporter.Wrong {
		t.Errorf("another log key: %+v", f)
	}
	write(logKey, string(was))

	if err := os.Rename(filepath.Join(string(home), "key.pem"), filepath.Join(string(home), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	expect("key gone", "key", reporter.Wrong, "key.pem")
	a.Fail(submittest.Tear)
	expect("aggregator away", "aggregator", reporter.Wrong, "reaching the aggregator")
	if err := os.Remove(filepath.Join(string(home), "config.json")); err != nil {
		t.Fatal(err)
	}
	expect("no installation", "directory", reporter.Wrong, "init")
}
