package dashboard

import (
	"fmt"
	"strings"
	"time"
)

// A series is one verdict's share in a chart.
type series struct {
	Name  string // the verdict
	Sign  string
	Count uint64
	Path  string // of the stacked area, in a box of chartWidth × chartHeight
	X, W  string // of the bar's segment, in per mille
}

const (
	chartWidth, chartHeight = 1000, 300
	chartPoints             = 160 // more would be finer than pixels
	tableDays               = 31
)

// An areaChart shows how many outputs had which verdict, day by day, stacked:
// reproduced at the bottom, then diverged, then single.
type areaChart struct {
	Series   []series // bottom to top
	YTicks   []string // top to bottom
	XTicks   []string // left to right
	From, To string
	Rows     []dayRow // newest first
	More     int      // days that the table leaves out
	All      string   // URL of all days
}

type dayRow struct {
	Day                                string
	Reproduced, Diverged, Single, Rate string
}

// newAreaChart draws counts that change in steps: each holds from its day until
// the next. all is where the API has them. It returns nil where there is nothing to draw.
func newAreaChart(days []DayCounts, today time.Time, all string) *areaChart {
	if len(days) == 0 {
		return nil
	}
	first, last := days[0].Day, today.UTC().Truncate(24*time.Hour)
	if end := days[len(days)-1].Day; last.Before(end) {
		last = end
	}
	span := int(last.Sub(first).Hours()/24) + 1
	points := min(span, chartPoints)

	// samples[i] holds the counts at the end of the i-th part of the span.
	samples := make([]DayCounts, points)
	next := 0
	var current DayCounts
	for i := range samples {
		end := first.AddDate(0, 0, (i+1)*span/points)
		for next < len(days) && days[next].Day.Before(end) {
			current = days[next]
			next++
		}
		samples[i] = current
	}
	var greatest uint64
	for _, s := range samples {
		greatest = max(greatest, s.Reproduced+s.Diverged+s.Single)
	}
	top := niceCeiling(greatest)

	chart := &areaChart{
		All:    all,
		YTicks: []string{number(top), number(top / 2), "0"},
		From:   first.Format("2 Jan 2006"),
		To:     last.Format("2 Jan 2006"),
	}
	chart.XTicks = []string{chart.From}
	if span > 4 {
		chart.XTicks = append(chart.XTicks, first.AddDate(0, 0, span/2).Format("2 Jan 2006"))
	}
	if span > 1 {
		chart.XTicks = append(chart.XTicks, chart.To)
	}
	below := make([]uint64, points)
	for _, verdict := range []struct {
		name string
		of   func(DayCounts) uint64
	}{
		{"reproduced", func(c DayCounts) uint64 { return c.Reproduced }},
		{"diverged", func(c DayCounts) uint64 { return c.Diverged }},
		{"single", func(c DayCounts) uint64 { return c.Single }},
	} {
		above := make([]uint64, points)
		for i := range above {
			above[i] = below[i] + verdict.of(samples[i])
		}
		chart.Series = append(chart.Series, series{
			Name: verdict.name, Sign: sign(verdict.name), Count: verdict.of(current), Path: band(below, above, top),
		})
		below = above
	}
	for i := len(days) - 1; i >= 0 && len(chart.Rows) < tableDays; i-- {
		c := days[i]
		chart.Rows = append(chart.Rows, dayRow{
			Day: c.Day.Format("2006-01-02"), Reproduced: number(c.Reproduced), Diverged: number(c.Diverged),
			Single: number(c.Single), Rate: percent(c.Reproduced, c.Reproduced+c.Diverged),
		})
	}
	chart.More = len(days) - len(chart.Rows)
	return chart
}

// band is the outline of the area between two step functions.
func band(below, above []uint64, top uint64) string {
	y := func(v uint64) int { return chartHeight - int(v*chartHeight/max(top, 1)) }
	x := func(i int) int { return i * chartWidth / len(above) }
	var path strings.Builder
	fmt.Fprintf(&path, "M0 %d", y(above[0]))
	for i := range above {
		if i > 0 && above[i] != above[i-1] {
			fmt.Fprintf(&path, "H%dV%d", x(i), y(above[i]))
		}
	}
	fmt.Fprintf(&path, "H%dV%d", chartWidth, y(below[len(below)-1]))
	for i := len(below) - 1; i > 0; i-- {
		if below[i] != below[i-1] {
			fmt.Fprintf(&path, "H%dV%d", x(i), y(below[i-1]))
		}
	}
	path.WriteString("H0Z")
	return path.String()
}

// niceCeiling is the next even number that is one digit or 10, times a power of
// ten, so that half of it is a whole number.
func niceCeiling(n uint64) uint64 {
	for step := uint64(1); ; step *= 10 {
		for _, factor := range []uint64{2, 4, 6, 8, 10} {
			if factor*step >= n {
				return factor * step
			}
		}
	}
}

// A bar shows shares of a whole, side by side.
type bar struct {
	Series []series // with those that are 0 left out
	Total  uint64
}

func newBar(parts ...series) bar {
	b := bar{}
	for _, p := range parts {
		b.Total += p.Count
	}
	var before uint64
	for _, p := range parts {
		if p.Count == 0 {
			continue
		}
		p.Sign = sign(p.Name)
		p.X = perMille(before, b.Total)
		p.W = perMille(p.Count, b.Total)
		before += p.Count
		b.Series = append(b.Series, p)
	}
	return b
}

func perMille(part, whole uint64) string {
	return fmt.Sprintf("%.1f", float64(part)*1000/float64(max(whole, 1)))
}

// sign is the symbol beside a verdict's name: no meaning rests on colour alone.
func sign(verdict string) string {
	switch verdict {
	case "reproduced":
		return "✓"
	case "diverged":
		return "≠"
	case "single":
		return "1"
	default:
		return "–"
	}
}
