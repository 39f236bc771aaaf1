package dashboard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// chartKinds are the ways of drawing a result.
var chartKinds = []string{"line", "bar", "heatmap", "histogram"}

const (
	maxSeries = 6  // that can be told apart
	maxBars   = 60 // that can be read
	maxHeat   = 40 // rows and columns
	binCount  = 20 // of a histogram of values
)

// A resultChart is a drawing of a result, beside the table that has its numbers.
//
//	line       where along the line, and a number; or where, the name of the line, and a number
//	bar        a name and a number
//	heatmap    a row, a column and a number
//	histogram  where a bin begins and how much is in it; or one column of values
//
// The first number that fits is drawn. Numbers behind it, such as what a share is of, are in the
// table.
type resultChart struct {
	Kind           string
	What           string // of what, for who does not see it
	YTicks, XTicks []string
	Lines          []chartLine
	Rects          []chartRect
	Bars           []chartBar
	HeatColumns    []string
	HeatRows       []heatRow
	Note           string // what is not drawn
}

type chartLine struct {
	Name  string
	Class int // which of the colours and dashes
	Path  string
}

// A chartRect is in a box of chartWidth × chartHeight.
type chartRect struct{ X, Y, W, H string }

type chartBar struct{ Label, Value, W string }

type heatRow struct {
	Label string
	Cells []heatCell
}

// A heatCell has a level from 0 to 4, or none where the result says nothing.
type heatCell struct {
	Text  string
	Level int
	None  bool
}

// newResultChart draws a result. Where it cannot be drawn like that, it says what is missing.
func newResultChart(kind string, t *resultTable) (chart *resultChart, lacks string) {
	draw := map[string]func(*resultTable) (*resultChart, string){
		"line": drawLines, "bar": drawBars, "heatmap": drawHeat, "histogram": drawHistogram,
	}[kind]
	if draw == nil || len(t.Rows) == 0 {
		return nil, ""
	}
	chart, lacks = draw(t)
	if chart == nil {
		return nil, lacks
	}
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	chart.Kind, chart.What = kind, strings.Join(names, ", ")
	if t.More {
		chart.Note = strings.TrimSpace(chart.Note + fmt.Sprintf(" Only the first %d rows are drawn.", resultRows))
	}
	return chart, ""
}

// numbers returns the places of the columns from one on that hold numbers.
func (t *resultTable) numbers(from int) (at []int) {
	for i := from; i < len(t.Columns); i++ {
		if t.Columns[i].Number {
			at = append(at, i)
		}
	}
	return at
}

// A point of a line.
type point struct{ x, y float64 }

func drawLines(t *resultTable) (*resultChart, string) {
	named := len(t.Columns) >= 3 && !t.Columns[1].Number
	values := t.numbers(1)
	if named {
		values = t.numbers(2)
	}
	if len(values) == 0 {
		return nil, "A line needs a column to go along, and a column of numbers."
	}
	at := values[0]
	xs, labels := t.positions()
	lines, order := map[string][]point{}, []string{}
	for i, row := range t.Rows {
		name := t.Columns[at].Name
		if named {
			name = row[1].Text
		}
		y, ok := row[at].float()
		if !ok {
			continue
		}
		if lines[name] == nil {
			order = append(order, name)
		}
		lines[name] = append(lines[name], point{xs[i], y})
	}
	chart := &resultChart{XTicks: labels}
	if len(order) > maxSeries {
		chart.Note = fmt.Sprintf("%d lines are drawn, of %d.", maxSeries, len(order))
		order = order[:maxSeries]
	}
	low, high := bounds(lines, order)
	chart.YTicks = []string{value(high), value((low + high) / 2), value(low)}
	for i, name := range order {
		chart.Lines = append(chart.Lines, chartLine{cmp.Or(name, "–"), i, linePath(lines[name], low, high)})
	}
	return chart, ""
}

// positions says where along the width each row is, from 0 to 1, and how that is labelled.
func (t *resultTable) positions() (xs []float64, labels []string) {
	first := t.Columns[0]
	along := map[string]float64{}
	for _, row := range t.Rows {
		var x float64
		ok := true
		switch {
		case first.Number:
			x, ok = row[0].float()
		case first.time:
			x, ok = row[0].when()
		default:
			if _, known := along[row[0].Text]; !known {
				along[row[0].Text] = float64(len(along))
			}
			x = along[row[0].Text]
		}
		if !ok {
			x = math.NaN()
		}
		xs = append(xs, x)
	}
	least, most := math.Inf(1), math.Inf(-1)
	var from, to string
	for i, x := range xs {
		if x < least {
			least, from = x, t.Rows[i][0].Text
		}
		if x > most {
			most, to = x, t.Rows[i][0].Text
		}
	}
	for i := range xs {
		xs[i] = (xs[i] - least) / max(most-least, math.SmallestNonzeroFloat64)
	}
	if from == to {
		return xs, []string{from}
	}
	return xs, []string{from, to}
}

// bounds are the least and the greatest value to be drawn, with 0 among them.
func bounds(lines map[string][]point, names []string) (low, high float64) {
	for _, name := range names {
		for _, p := range lines[name] {
			low, high = min(low, p.y), max(high, p.y)
		}
	}
	return -niceAbove(-low), max(niceAbove(high), math.SmallestNonzeroFloat64)
}

// niceAbove is the next number of one digit, 1, 2 or 5, times a power of ten; 0 of what is no
// more than that.
func niceAbove(x float64) float64 {
	if x <= 0 {
		return 0
	}
	step := math.Pow(10, math.Floor(math.Log10(x)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*step >= x {
			return factor * step
		}
	}
	return 10 * step
}

func linePath(points []point, low, high float64) string {
	var b strings.Builder
	points = slices.DeleteFunc(points, func(p point) bool { return math.IsNaN(p.x) })
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	for i, p := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, p.x*chartWidth, chartHeight*(high-p.y)/(high-low))
	}
	if len(points) == 1 { // a line of one point is not seen
		b.WriteString("h8")
	}
	return b.String()
}

func drawBars(t *resultTable) (*resultChart, string) {
	values := t.numbers(1)
	if len(values) == 0 {
		return nil, "Bars need a column of names, and a column of numbers behind it."
	}
	chart := &resultChart{}
	var most float64
	for _, row := range t.Rows {
		if y, ok := row[values[0]].float(); ok {
			most = max(most, math.Abs(y))
		}
	}
	for _, row := range t.Rows {
		y, ok := row[values[0]].float()
		if !ok {
			continue
		}
		if len(chart.Bars) == maxBars {
			chart.Note = fmt.Sprintf("%d bars are drawn, of %d.", maxBars, len(t.Rows))
			break
		}
		var label []string
		for _, c := range row[:values[0]] {
			label = append(label, cmp.Or(c.Text, "–"))
		}
		chart.Bars = append(chart.Bars, chartBar{strings.Join(label, " · "), value(y), fixed(math.Abs(y) / max(most, math.SmallestNonzeroFloat64) * chartWidth)})
	}
	return chart, ""
}

func drawHeat(t *resultTable) (*resultChart, string) {
	values := t.numbers(2)
	if len(values) == 0 {
		return nil, "A heatmap needs a column for its rows, one for its columns, and one of numbers."
	}
	chart := &resultChart{}
	rows, columns := map[string]int{}, map[string]int{}
	low, high := math.Inf(1), math.Inf(-1)
	type place struct{ row, column int }
	at := map[place]float64{}
	for _, row := range t.Rows {
		y, ok := row[values[0]].float()
		r, fits := numbered(rows, row[0].Text)
		c, fit := numbered(columns, row[1].Text)
		if !fits || !fit {
			chart.Note = fmt.Sprintf("%d rows and columns are drawn at most.", maxHeat)
			continue
		}
		if ok {
			at[place{r, c}] = y
			low, high = min(low, y), max(high, y)
		}
	}
	chart.HeatColumns = byNumber(columns)
	for r, label := range byNumber(rows) {
		row := heatRow{Label: cmp.Or(label, "–")}
		for c := range chart.HeatColumns {
			y, there := at[place{r, c}]
			if !there {
				row.Cells = append(row.Cells, heatCell{None: true})
				continue
			}
			level := int(4.999 * (y - low) / max(high-low, math.SmallestNonzeroFloat64))
			row.Cells = append(row.Cells, heatCell{Text: value(y), Level: level})
		}
		chart.HeatRows = append(chart.HeatRows, row)
	}
	return chart, ""
}

// numbered numbers names in the order in which they come, up to maxHeat.
func numbered(known map[string]int, name string) (n int, ok bool) {
	n, ok = known[name]
	if !ok && len(known) < maxHeat {
		n, ok = len(known), true
		known[name] = n
	}
	return n, ok
}

func byNumber(known map[string]int) []string {
	names := make([]string, len(known))
	for name, n := range known {
		names[n] = name
	}
	return names
}

func drawHistogram(t *resultTable) (*resultChart, string) {
	if !t.Columns[0].Number {
		return nil, "A histogram needs a column of numbers: where each bin begins, with how much is in it behind it; or the values."
	}
	bins := t.bins()
	if len(bins) == 0 {
		return nil, "There is no number to be drawn."
	}
	var most float64
	for _, b := range bins {
		most = max(most, b.y)
	}
	top := max(niceAbove(most), math.SmallestNonzeroFloat64)
	chart := &resultChart{
		YTicks: []string{value(top), value(top / 2), "0"},
		XTicks: []string{value(bins[0].x), value(bins[len(bins)-1].x)},
	}
	if len(bins) == 1 {
		chart.XTicks = chart.XTicks[:1]
	}
	width := float64(chartWidth) / float64(len(bins))
	for i, b := range bins {
		height := chartHeight * max(b.y, 0) / top
		chart.Rects = append(chart.Rects, chartRect{fixed(float64(i)*width + width*0.04), fixed(chartHeight - height), fixed(width * 0.92), fixed(height)})
	}
	return chart, ""
}

// bins are where each begins, and how much is in it, in order.
func (t *resultTable) bins() []point {
	var bins []point
	counts := t.numbers(1)
	for _, row := range t.Rows {
		x, ok := row[0].float()
		y := 1.0
		if ok && len(counts) > 0 {
			y, ok = row[counts[0]].float()
		}
		if ok {
			bins = append(bins, point{x, y})
		}
	}
	slices.SortStableFunc(bins, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	if len(counts) > 0 || len(bins) == 0 {
		return bins
	}
	low, high := bins[0].x, bins[len(bins)-1].x
	counted := make([]point, binCount)
	for i := range counted {
		counted[i].x = low + float64(i)*(high-low)/binCount
	}
	for _, b := range bins {
		i := min(int((b.x-low)/max(high-low, math.SmallestNonzeroFloat64)*binCount), binCount-1)
		counted[i].y++
	}
	return counted
}

// value writes a number so that it can be read.
func value(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		if x < 0 {
			return "−" + number(uint64(-x))
		}
		return number(uint64(x))
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

func fixed(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }
