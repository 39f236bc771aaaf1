package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// report is the table of figures.
type report struct{ rows []row }

type row struct{ name, figure, goal, limit string }

func (r *report) add(name, figure, goal, limit string) {
	r.rows = append(r.rows, row{name, figure, goal, limit})
	progress("")
	fmt.Printf("%-62s %16s   goal %-14s %s\n", name, figure, goal, limit)
}

func (r *report) print(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "\nFIGURE\tMEASURED\tGOAL\tLIMIT IN THIS RUN")
	for _, row := range r.rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", row.name, row.figure, row.goal, row.limit)
	}
	_ = table.Flush()
}

// p99 is the value that 99 of 100 durations do not exceed.
func p99(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[min(len(durations)-1, len(durations)*99/100)]
}

func perSecond(rate float64, unit string) string { return fmt.Sprintf("%.0f %s/s", rate, unit) }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}
