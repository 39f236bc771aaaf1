package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"repronet.dev/internal/needtest"
)

// TestUnits has systemd say what the services could do to a machine if they were taken over:
// 0 is nothing, 10 everything.
func TestUnits(t *testing.T) {
	analyze := needtest.Program(t, "systemd-analyze", "systemd")
	r := &release{stage: t.TempDir(), version: "v1.2.3"}
	if err := r.texts(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{filepath.Join(r.stage, "repronet-reporter", "repronet-reporter.service"), "systemd/repronet-aggregator.service"} {
		unit, err := filepath.Abs(unit)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "security", "--offline=true", unit).CombinedOutput()
		found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if err != nil || found == nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level > 2 {
			t.Errorf("%s: exposure %s, %v\n%s", unit, found[1], err, out)
		}
	}
	// One page of each command.
	if _, err := os.Stat(filepath.Join(r.stage, "repronet-reporter", "man", "repronet-reporter-hook-install.1")); err != nil {
		t.Error(err)
	}
}
