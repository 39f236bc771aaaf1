package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// report is the table of figures.
type report struct{ rows []row }

// A row is one figure. Its goal is "", if nothing is demanded of it.
type row struct{ name, figure, goal, verdict, limit string }

// A quantity is what was measured.
type quantity struct {
	value float64
	unit  string
}

func perSecond(n int, took time.Duration, unit string) quantity {
	return quantity{rate(n, took), unit + "/s"}
}

func milliseconds(d time.Duration) quantity { return quantity{d.Seconds() * 1000, "ms"} }

func seconds(d time.Duration) quantity { return quantity{d.Seconds(), "s"} }

func megabytes(bytes int64) quantity { return quantity{float64(bytes) / 1e6, "MB"} }

func mebibytes(bytes int64) quantity { return quantity{float64(bytes) / (1 << 20), "MiB"} }

func (q quantity) String() string {
	digits := 0
	if q.value < 100 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, q.value, q.unit)
}

// A goal is what a quantity should be, in its unit.
type goal struct {
	bound float64
	least bool
}

func atLeast(bound float64) goal { return goal{bound, true} }

func atMost(bound float64) goal { return goal{bound, false} }

// noGoal is that of a figure which explains others.
func noGoal() goal { return goal{bound: math.NaN()} }

// add adds a figure. limit is what the machine gave in the same run.
func (r *report) add(name string, q quantity, g goal, limit string) {
	row := row{name: name, figure: q.String(), limit: limit}
	if !math.IsNaN(g.bound) {
		sign, met := "≤", q.value <= g.bound
		if g.least {
			sign, met = "≥", q.value >= g.bound
		}
		row.goal, row.verdict = fmt.Sprintf("%s %.0f %s", sign, g.bound, q.unit), "met"
		if !met {
			row.verdict = "MISSED"
		}
	}
	r.put(row)
}

// missing says why a figure is not there.
func (r *report) missing(name, why string) {
	r.put(row{name: name, figure: "not measured", limit: why})
}

func (r *report) put(row row) {
	r.rows = append(r.rows, row)
	progress("%s: %s %s\n", row.name, row.figure, row.verdict)
}

func (r *report) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "FIGURE\tMEASURED\tGOAL\t\tIN THE SAME RUN")
	for _, row := range r.rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", row.name, row.figure, row.goal, row.verdict, row.limit)
	}
	return table.Flush()
}

// progress prints a line to standard error that the next one replaces.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...) }

func rate(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }

// quantile is the value that a share of the durations does not exceed.
func quantile(durations []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*share))]
}

func p99(durations []time.Duration) time.Duration { return quantile(durations, 0.99) }

func median(durations []time.Duration) time.Duration { return quantile(durations, 0.5) }
