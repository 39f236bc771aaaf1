package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func day(n int) time.Time { return time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC) }

func TestAreaChart(t *testing.T) {
	chart := newAreaChart([]DayCounts{
		{Day: day(0), Single: 4},
		{Day: day(2), Reproduced: 2, Diverged: 1, Single: 1},
	}, day(3).Add(5*time.Hour), "")
	var paths []string
	for _, s := range chart.Series {
		paths = append(paths, s.Name+" "+s.Path)
	}
	// Four days, each 250 wide; of at most 4, so one output is 75 high.
	want := []string{
		"reproduced M0 300H500V150H1000V300H0Z",
		"diverged M0 300H500V75H1000V150H500V300H0Z",
		"single M0 0H1000V75H500V300H0Z",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"4", "2", "0"}, chart.YTicks); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1 Jan 2026", "4 Jan 2026"}, chart.XTicks); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]dayRow{{"2026-01-03", "2", "1", "1", "66.7 %"}, {"2026-01-01", "0", "0", "4", "–"}}, chart.Rows); diff != "" {
		t.Error(diff)
	}
}

// TestAreaChartExtremes: nothing, one day, years, and a clock behind the ledger.
func TestAreaChartExtremes(t *testing.T) {
	if newAreaChart(nil, day(0), "") != nil {
		t.Error("a chart of nothing")
	}
	one := newAreaChart([]DayCounts{{Day: day(5), Reproduced: 1}}, day(0), "")
	if got := one.Series[0].Path; got != "M0 150H1000V300H0Z" {
		t.Errorf("one day is drawn as %s", got)
	}
	var years []DayCounts
	for i := range 3000 {
		years = append(years, DayCounts{Day: day(i), Reproduced: uint64(i) * 1e12, Single: 1})
	}
	long := newAreaChart(years, day(3000), "")
	for _, s := range long.Series {
		if len(s.Path) > 5000 || strings.Contains(s.Path, "-") {
			t.Errorf("%d bytes of path: %.60s", len(s.Path), s.Path)
		}
	}
	if long.More != 3000-tableDays {
		t.Errorf("%d days are left out of the table", long.More)
	}
}

func TestNiceCeiling(t *testing.T) {
	for n, want := range map[uint64]uint64{0: 2, 1: 2, 2: 2, 3: 4, 7: 8, 11: 20, 44: 60, 99: 100, 101: 200, 12345: 20000} {
		if got := niceCeiling(n); got != want {
			t.Errorf("niceCeiling(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestBar(t *testing.T) {
	b := newBar(series{Name: "reproduced", Count: 3}, series{Name: "diverged"}, series{Name: "single", Count: 1})
	want := bar{Total: 4, Series: []series{
		{Name: "reproduced", Sign: "✓", Count: 3, X: "0.0", W: "750.0"},
		{Name: "single", Sign: "1", Count: 1, X: "750.0", W: "250.0"},
	}}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Error(diff)
	}
}
