package console

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/dashboard/questions"
	"repronet.dev/snapshot"
)

// began is when the planted world does.
var began = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// after is a time of the planted world.
func after(d time.Duration) snapshot.Time { return snapshot.Time(began.Add(d).UnixMilli()) }

const day = 24 * time.Hour

// plantedWorld is a snapshot of three operators with a machine each. Alder and birch agree on
// o1; on o2 alder is alone against birch and cedar; on o3 alder and birch differ, agree for a
// while, and differ again; o4 only alder has.
func plantedWorld(t *testing.T) Snapshot {
	t.Helper()
	dir := t.TempDir()
	machines := map[string]string{"alder": "e1", "birch": "e2", "cedar": "e3"}
	var seen []snapshot.Observation
	observe := func(operator, output, digest string, at time.Duration) {
		seen = append(seen, snapshot.Observation{
			Ecosystem: "nix", Output: output, Digest: digest, Builder: operator + "-key", Index: uint64(len(seen)), ReceivedAt: after(at), Environment: machines[operator],
		})
	}
	observe("alder", "o1", "d1", 0)
	observe("alder", "o2", "d1", 0)
	observe("alder", "o3", "d1", 0)
	observe("alder", "o4", "d1", 0)
	observe("birch", "o1", "d1", 3*time.Hour)
	observe("birch", "o2", "d2", 5*time.Hour)
	observe("birch", "o3", "d2", day)
	observe("birch", "o3", "d1", 11*day)
	observe("birch", "o3", "d3", 31*day)
	observe("cedar", "o2", "d2", 36*day)
	planted(t, dir, "observations", seen...)
	change := func(output string, index uint64, at time.Duration, before, then string) snapshot.Change {
		return snapshot.Change{Ecosystem: "nix", Output: output, Index: index, ReceivedAt: after(at), Old: before, New: then}
	}
	planted(t, dir, "changes",
		change("o1", 0, 0, "unbuilt", "single"), change("o1", 4, 3*time.Hour, "single", "reproduced"),
		change("o2", 1, 0, "unbuilt", "single"), change("o2", 5, 5*time.Hour, "single", "diverged"),
		change("o3", 2, 0, "unbuilt", "single"), change("o3", 6, day, "single", "diverged"),
		change("o3", 7, 11*day, "diverged", "reproduced"), change("o3", 8, 31*day, "reproduced", "diverged"),
		change("o4", 3, 0, "unbuilt", "single"))
	verdict := func(output, verdict, shape string) snapshot.Verdict {
		return snapshot.Verdict{Ecosystem: "nix", Output: output, Verdict: verdict, Shape: shape}
	}
	planted(t, dir, "verdicts", verdict("o1", "reproduced", ""), verdict("o2", "diverged", "outlier"), verdict("o3", "diverged", "split"), verdict("o4", "single", ""))
	var builders []snapshot.Builder
	for _, operator := range []string{"alder", "birch", "cedar"} {
		builders = append(builders, snapshot.Builder{Builder: operator + "-key", Operator: operator, Tier: "counted"})
	}
	planted(t, dir, "builders", builders...)
	planted(t, dir, "environments",
		snapshot.Environment{Environment: "e1", Kernel: "6.1", TZ: "+00:00", Umask: "022"},
		snapshot.Environment{Environment: "e2", Kernel: "6.6", TZ: "+00:00", Umask: "022"},
		snapshot.Environment{Environment: "e3", Kernel: "6.6", TZ: "+01:00", Umask: "022"})
	member := func(output, system string) snapshot.Member {
		return snapshot.Member{Set: "s", Ecosystem: "nix", Output: output, System: system}
	}
	planted(t, dir, "members", member("o1", "x86_64-linux"), member("o2", "x86_64-linux"), member("o3", "x86_64-linux"), member("o4", "aarch64-linux"), member("o1", ""))
	return Snapshot{Name: "planted", Dir: dir, Indexed: 10}
}

// TestQuestions: each question that people ask has the planted answer.
func TestQuestions(t *testing.T) {
	all, err := questions.All()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, plantedWorld(t), Limits{Time: time.Minute})
	answers := map[string]struct {
		rows  int
		lines []string // among those of the result
	}{
		"rate-by-month": {2, []string{
			`month,system,rate,reproduced,compared`,
			`2026-01-01,x86_64-linux,0.6666666666666666,2,3`, `2026-02-01,x86_64-linux,0.3333333333333333,1,3`,
		}},
		"builder-pairs": {6, []string{
			`builder,other,agreement,same,both`,
			`alder alder-ke,birch birch-ke,0.3333333333333333,1,3`, `alder alder-ke,cedar cedar-ke,0,0,1`, `birch birch-ke,cedar cedar-ke,1,1,1`,
			`cedar cedar-ke,birch birch-ke,1,1,1`,
		}},
		"half-life":       {36, []string{`day,still_diverged,lasted,followed`, `0,1,3,3`, `5,1,3,3`, `6,1,2,2`, `10,1,2,2`, `11,0.5,1,2`, `35,0.5,1,2`}},
		"second-opinion":  {3, []string{`from_hours,outputs,without_second`, `2,1,1`, `4,1,1`, `16,1,1`}},
		"lone-dissenters": {1, []string{`operator,alone,share,diverged`, `alder,1,0.5,2`}},
		"traits": {2, []string{
			`trait,difference,differ_with_another_value,pairs_with_another_value,differ_with_the_same_value,pairs_with_the_same_value`,
			`kernel,0.75,3,4,0,1`, `tz,-0.16666666666666663,1,2,2,3`,
		}},
		"survival-of-fixes":    {26, []string{`day,still_reproduced,lasted,followed`, `0,1,1,1`, `20,1,1,1`, `21,0,0,1`, `25,0,0,1`}},
		"environment-distance": {2, []string{`traits_that_differ,agreement,same,pairs`, `1,0.5,2,4`, `2,0,0,1`}},
	}
	for _, q := range all {
		t.Run(q.Name, func(t *testing.T) {
			query, err := Parse(q.SQL, viewNames())
			if err != nil {
				t.Fatal(err)
			}
			result, err := b.ask(t.Context(), query.Text())
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(result, `"`, "")), "\n")
			want, known := answers[q.Name]
			if !known || len(lines) != want.rows+1 {
				t.Fatalf("%d lines: %s", len(lines), result)
			}
			among := map[string]bool{}
			for _, line := range lines {
				among[line] = true
			}
			var missing []string
			for _, line := range want.lines {
				if !among[line] {
					missing = append(missing, line)
				}
			}
			if diff := cmp.Diff([]string(nil), missing); diff != "" {
				t.Errorf("missing lines %s\nof:\n%s", diff, result)
			}
		})
	}
}
