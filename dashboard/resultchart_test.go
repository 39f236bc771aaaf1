package dashboard

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
)

// result is a result of columns "name Type" and rows of JSON values.
func result(columns string, rows ...string) *resultTable {
	r := &api.SQLResult{}
	for c := range strings.SplitSeq(columns, ",") {
		name, of, _ := strings.Cut(c, " ")
		r.Meta = append(r.Meta, api.SQLColumn{Name: name, Type: of})
	}
	for _, row := range rows {
		var values []jsontext.Value
		for v := range strings.SplitSeq(row, ",") {
			values = append(values, jsontext.Value(v))
		}
		r.Data = append(r.Data, values)
	}
	return newResultTable(r)
}

func TestLines(t *testing.T) {
	chart, lacks := newResultChart("line", result("day Int32,change Nullable(Float64),followed UInt64", "0,-50,1", "10,100,2", "5,0,3", "7,null,3"))
	if lacks != "" {
		t.Fatal(lacks)
	}
	want := []chartLine{{"change", 0, "M0.0 300.0L500.0 200.0L1000.0 0.0"}}
	if diff := cmp.Diff(want, chart.Lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"100", "25", "−50"}, chart.YTicks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0", "10"}, chart.XTicks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNamedLines: the second column names the lines; those that cannot be told apart are left
// out, and it is said so.
func TestNamedLines(t *testing.T) {
	var rows []string
	for name := range strings.FieldsSeq("a b c d e f g h") {
		rows = append(rows, `"2026-01-01","`+name+`",1`, `"2026-02-01","`+name+`",2`)
	}
	chart, _ := newResultChart("line", result("month Date,system LowCardinality(String),n UInt64", rows...))
	if len(chart.Lines) != maxSeries || chart.Lines[1].Name != "b" || chart.Note != "6 lines are drawn, of 8." {
		t.Errorf("%+v, %q", chart.Lines, chart.Note)
	}
}

func TestHistogramOfValues(t *testing.T) {
	chart, _ := newResultChart("histogram", result("hours Float64", "0", "1", "1", "20", "null"))
	heights := map[string]int{}
	for _, r := range chart.Rects {
		heights[r.H]++
	}
	// One bin of 20 has two values, two have one each; 2 is the top.
	if diff := cmp.Diff(map[string]int{"300.0": 1, "150.0": 2, "0.0": 17}, heights); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOddResults: nothing that a query can return breaks a chart.
func TestOddResults(t *testing.T) {
	for name, table := range map[string]*resultTable{
		"no column":        result("x String"),
		"one row":          result("x UInt8,y UInt8", "1,1"),
		"only NULL":        result("x Nullable(UInt8),y Nullable(UInt8)", "null,null"),
		"nothing changes":  result("x UInt8,y UInt8", "1,0", "1,0"),
		"infinite":         result("x Float64,y Float64", `"inf",1`, `1,"-inf"`, `"nan","nan"`),
		"huge":             result("x Float64,y Float64", "1,1e308", "2,-1e308"),
		"tiny":             result("x Float64,y Float64", "1,5e-324", "1,0"),
		"fewer values":     result("x String,y String,z UInt8", `"a"`),
		"no number":        result("x String,y String", `"a","b"`),
		"only a number":    result("x UInt64", "1"),
		"times and names":  result("x DateTime64(3),y Enum8('a' = 1),z Int8", `"2026-01-01 00:00:00.000","a",-1`, `"nonsense","b",2`),
		"arrays as values": result("x Array(UInt8),y UInt8", "[1],1"),
	} {
		for _, kind := range chartKinds {
			chart, _ := newResultChart(kind, table)
			if chart == nil {
				continue
			}
			for _, line := range chart.Lines {
				if strings.Contains(line.Path, "NaN") || strings.Contains(line.Path, "Inf") {
					t.Errorf("%s as %s: %s", name, kind, line.Path)
				}
			}
			for _, r := range chart.Rects {
				if strings.Contains(r.X+r.Y+r.W+r.H, "NaN") || strings.Contains(r.H, "Inf") || strings.HasPrefix(r.H, "-") {
					t.Errorf("%s as %s: %+v", name, kind, r)
				}
			}
		}
	}
}
