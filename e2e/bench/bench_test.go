package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/internal/chdb/chdbtest"
)

// TestMain ends as the engine's library needs it: bench opens the engine itself.
func TestMain(m *testing.M) { chdbtest.Exit(m.Run()) }

// TestShort takes every step, with as little work as each makes sense with: the
// figures mean nothing, but what they are of is right, or a step goes wrong.
func TestShort(t *testing.T) {
	t.Setenv("REPRONET_ENGINE", chdbtest.Library(t))
	bin := programs(t)
	t.Chdir(filepath.Join("..", ".."))
	var table strings.Builder
	b := bench{dir: filepath.Join(t.TempDir(), "data"), out: &table, keep: true, sizes: sizes{
		stored: 3000, sample: 2000, latencies: 5, requests: 10, closure: 150, mapped: 10_000, tree: 1 << 20, idle: time.Second,
		releases: []string{"30.2", "31.0"},
	}}
	if err := b.run(t.Context(), bin); err != nil {
		t.Errorf("%v\n%s", err, &table)
	}
	t.Log("\n" + table.String())
	for _, figure := range []string{
		"durable, one output a bundle", "visible verdict, p99, at", "build page", "outputs looked up", "digests looked up", "question \"half-life\"", "beside questions", "index on disk", "attest", "replay, compared", "snapshot, all processors", "new follower", "output --light", "output --light --tell",
		"closure of 150 outputs, 20 bundles", "closure of 150 outputs, 750 bundles", "gate: added", "relaying", "map of 10000 outputs alone",
	} {
		if !strings.Contains(table.String(), figure) {
			t.Errorf("the table has no figure of %q", figure)
		}
	}

	// A single figure, on what is stored already.
	table.Reset()
	again := bench{dir: b.dir, out: &table, keep: true, only: []string{"light"}, sizes: b.sizes}
	if err := again.run(t.Context(), bin); err != nil {
		t.Error(err)
	}
	if text := table.String(); again.filled.made != b.filled.made || strings.Count(text, "\n") != 1+4 {
		t.Errorf("%d outputs were made on top of %d:\n%s", again.filled.made, b.filled.made, text)
	}
	if kept, err := os.ReadDir(filepath.Join(b.dir, "tmp")); err == nil {
		t.Errorf("left behind: %v", kept)
	}
	again.keep = false
	if err := again.run(t.Context(), bin); err == nil || !strings.Contains(err.Error(), "--keep") {
		t.Errorf("without --keep, on what was kept: %v", err)
	}
}

// programs returns the directory of the programs, which it builds unless they are
// given.
func programs(t *testing.T) string {
	if dir := os.Getenv("REPRONET_BIN"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", dir+"/", "repronet.dev/cmd/...")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func TestUnknownStep(t *testing.T) {
	b := bench{only: []string{"gate", "closures"}}
	if err := b.run(t.Context(), "bin"); err == nil || !strings.Contains(err.Error(), `"closures"`) {
		t.Errorf("got %v", err)
	}
}

// TestReport: whether a goal is met is told beside it, in the direction it has.
func TestReport(t *testing.T) {
	var r report
	r.add("speed", perSecond(10, time.Second, "things"), atLeast(10), "")
	r.add("slow", perSecond(9, time.Second, "things"), atLeast(10), "")
	r.add("short", milliseconds(5*time.Millisecond), atMost(5), "")
	r.add("long", milliseconds(6*time.Millisecond), atMost(5), "")
	r.add("aside", seconds(time.Second), noGoal(), "")
	var got []string
	for _, row := range r.rows {
		got = append(got, strings.Join([]string{row.name, row.figure, row.goal, row.verdict}, "|"))
	}
	want := "speed|10.0 things/s|≥ 10 things/s|met\nslow|9.0 things/s|≥ 10 things/s|MISSED\n" +
		"short|5.0 ms|≤ 5 ms|met\nlong|6.0 ms|≤ 5 ms|MISSED\naside|1.0 s||"
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
