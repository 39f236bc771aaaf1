package api_test

import (
	"testing"
	"time"

	"repronet.dev/api"
)

// TestExplain holds what is said of a package, with the numbers that it is said of.
func TestExplain(t *testing.T) {
	since := time.Date(2026, 11, 3, 23, 0, 0, 0, time.FixedZone("east", 7200))
	for _, c := range []struct {
		version, newest string
		counts          api.VerdictCounts
		operators       uint64
		want            string
	}{
		{"2.12.1", "2.12.1", api.VerdictCounts{Reproduced: 2, Diverged: 1}, 4, "2 of 3 outputs of 2.12.1 are reproduced by 4 operators; 1 diverges since 3 Nov 2026."},
		{"1", "1", api.VerdictCounts{Reproduced: 1}, 2, "1 of 1 output of 1 is reproduced by 2 operators."},
		{"", "", api.VerdictCounts{Reproduced: 3}, 2, "3 of 3 outputs are reproduced by 2 operators."},
		{"1", "1", api.VerdictCounts{Diverged: 2, Single: 2, Unbuilt: 3}, 0, "None of 7 outputs of 1 is reproduced; 2 diverge since 3 Nov 2026; 2 were built by one operator only; 3 were not built."},
		{"1", "2", api.VerdictCounts{Reproduced: 1}, 2, "1 of 1 output of 1 is reproduced by 2 operators. Of 2, nothing is compared yet."},
		{"2", "2", api.VerdictCounts{Single: 1, Unbuilt: 1}, 0, "Nothing is compared yet: of 2 outputs of 2, 1 was built by one operator only and 1 was not built."},
		{"1", "1", api.VerdictCounts{Reproduced: 1001}, 9, "1001 of 1001 outputs of 1 are reproduced by at least 9 operators."},
	} {
		p := &api.Package{Total: 1, Newest: api.PackageState{Operators: c.operators, Since: since}}
		p.Newest.Version, p.Newest.VerdictCounts = c.version, c.counts
		if got := p.Explain(c.newest); got != c.want {
			t.Errorf("said: %s\nwant: %s", got, c.want)
		}
	}
	const nobody = "No operator who counts has built it, and no package set has it."
	if got := new(api.Package).Explain(""); got != nobody {
		t.Errorf("of nothing: %s", got)
	}
	for counts, want := range map[api.VerdictCounts]api.Verdict{
		{}: api.Unbuilt, {Reproduced: 1}: api.Reproduced, {Reproduced: 1, Single: 1}: api.Single, {Reproduced: 1, Unbuilt: 1}: api.Unbuilt, {Diverged: 1, Unbuilt: 9}: api.Diverged,
	} {
		if got := counts.Worst(); got != want {
			t.Errorf("the worst of %+v is %s, want %s", counts, got, want)
		}
	}
}
