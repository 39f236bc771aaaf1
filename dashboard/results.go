package dashboard

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/api"
)

// resultRows is how many rows of a result a page shows; formats other than HTML have all.
const resultRows = 500

// A resultTable is the result of a query as a page shows it.
type resultTable struct {
	Columns []resultColumn
	Rows    [][]cell
	More    bool // rows that are not shown
}

type resultColumn struct {
	Name, Type string
	Number     bool
	time       bool
}

// A cell is a value of a result.
type cell struct {
	Text         string
	Number, Null bool
}

// newResultTable reads a result that has a row more than is shown, if there are more.
func newResultTable(result *api.SQLResult) *resultTable {
	t := &resultTable{More: len(result.Data) > resultRows}
	for _, c := range result.Meta {
		t.Columns = append(t.Columns, newResultColumn(c))
	}
	for _, values := range result.Data[:min(len(result.Data), resultRows)] {
		row := make([]cell, len(t.Columns))
		for i := range row {
			if row[i] = (cell{Null: true}); i < len(values) {
				row[i] = newCell(values[i], t.Columns[i].Number)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// newResultColumn says what a column of one of ClickHouse's types holds.
func newResultColumn(c api.SQLColumn) resultColumn {
	plain := c.Type
	for _, around := range []string{"LowCardinality(", "Nullable("} {
		if inner, ok := strings.CutPrefix(plain, around); ok {
			plain = strings.TrimSuffix(inner, ")")
		}
	}
	column := resultColumn{Name: c.Name, Type: c.Type, time: strings.HasPrefix(plain, "Date")}
	for _, number := range []string{"UInt", "Int", "Float", "Decimal", "BFloat"} {
		column.Number = column.Number || strings.HasPrefix(plain, number) && !strings.HasPrefix(plain, "Interval")
	}
	return column
}

func newCell(value jsontext.Value, number bool) cell {
	if value.Kind() == jsontext.KindNull {
		return cell{Null: true, Number: number}
	}
	if value.Kind() == jsontext.KindString {
		if text, err := jsontext.AppendUnquote(nil, value); err == nil {
			return cell{Text: string(text), Number: number}
		}
	}
	return cell{Text: string(value), Number: number}
}

// maxDrawn is the greatest number that is drawn: sums and differences stay finite.
const maxDrawn = 1e150

// float is the value as a number; ok tells that it is one that can be drawn.
func (c cell) float() (value float64, ok bool) {
	value, err := strconv.ParseFloat(c.Text, 64)
	return value, err == nil && !c.Null && math.Abs(value) <= maxDrawn // which NaN is not
}

// when is the value as a time, in seconds since 1970; ok tells that it is one.
func (c cell) when() (seconds float64, ok bool) {
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006-01-02 15:04:05.999"} {
		if t, err := time.Parse(layout, c.Text); err == nil {
			return float64(t.Unix()), true
		}
	}
	return 0, false
}
