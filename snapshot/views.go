package snapshot

import (
	"encoding/csv"
	"fmt"
	"reflect"
	"strings"
)

// A View is a table that researchers read: in a snapshot as Parquet files, and in the
// SQL console under the same name with the same columns.
type View struct {
	Name        string
	Description string // what a row is, as a sentence
	Columns     []Column
	Files       Files
	// compare compares two files of the view, of which path is said.
	compare func(path, ours, theirs string) error
	// lines writes the rows of a file of the view as CSV.
	lines func(path string, to *csv.Writer) error
}

// A Column is a column of a view. Its values are never what a stranger could make
// something else of: names have the characters that package ecosystem allows.
type Column struct {
	Name        string
	Type        Type
	Nullable    bool
	Description string
}

// Type is the type of a column's values.
type Type string

// The types of columns.
const (
	String    Type = "string"
	Integer   Type = "integer"   // from 0 to 2^64-1
	Timestamp Type = "timestamp" // milliseconds, UTC
	Boolean   Type = "boolean"
	Strings   Type = "strings" // a list
)

// Files says into which files a view's rows go.
type Files uint8

// The files of a view.
const (
	// Whole: <view>.parquet.
	Whole Files = iota
	// ByEcosystem: <view>/<ecosystem>.parquet.
	ByEcosystem
	// ByMonth: <view>/<ecosystem>/<year>-<month>.parquet, by the month in UTC in which
	// the ledger received the row's entry. Those of a month that is over do not change.
	ByMonth
)

// Glob matches the files of a view, below the directory of a snapshot.
func (v *View) Glob() string {
	return v.Name + [...]string{Whole: "", ByEcosystem: "/*", ByMonth: "/*/*"}[v.Files] + ".parquet"
}

// views are all views, in the order in which they are shown.
var views = []View{
	view[Observation]("observations", ByMonth, "An output that a builder said it got a digest for, in one entry of the ledger: the facts, whoever said them."),
	view[Output]("outputs", ByEcosystem, "An output that a claim or a package set names."),
	view[Verdict]("verdicts", ByEcosystem, "What the counted operators' positions say of an output, after all entries."),
	view[Change]("changes", ByMonth, "A transition of an output's verdict, by the entry that caused it: the history."),
	view[Withdrawal]("withdrawals", ByMonth, "An observation that its builder took back."),
	view[Failure]("failures", ByMonth, "A build that a builder said failed: never a divergence."),
	view[Environment]("environments", Whole, "A combination of traits of builders' machines."),
	view[Builder]("builders", Whole, "An identity that signs, with the operator behind it."),
	view[Operator]("operators", Whole, "A party behind builders."),
	view[Set]("sets", Whole, "A published revision of a package set."),
	view[Member]("members", ByMonth, "An output of a revision of a package set."),
	view[Edge]("edges", ByMonth, "A direct input of an output of a package set, at a revision."),
}

// Views returns all views, in the order in which they are shown.
func Views() []View { return views }

func view[Row any](name string, files Files, description string) View {
	v := View{Name: name, Description: description, Files: files, lines: writeLines[Row]}
	for field := range reflect.TypeFor[Row]().Fields() {
		v.Columns = append(v.Columns, column(field))
	}
	v.compare = func(path, ours, theirs string) error { return compareRows[Row](&v, path, ours, theirs) }
	return v
}

// column reads the tags of a row's field.
func column(field reflect.StructField) Column {
	name, options, _ := strings.Cut(field.Tag.Get("parquet"), ",")
	c := Column{Name: name, Description: field.Tag.Get("doc")}
	for option := range strings.SplitSeq(options, ",") {
		c.Nullable = c.Nullable || option == "optional"
	}
	kind := field.Type.Kind()
	if kind == reflect.Pointer {
		kind = field.Type.Elem().Kind()
	}
	switch kind {
	case reflect.String:
		c.Type = String
	case reflect.Uint32, reflect.Uint64:
		c.Type = Integer
	case reflect.Int64:
		c.Type = Timestamp
	case reflect.Bool:
		c.Type = Boolean
	case reflect.Slice:
		c.Type = Strings
	default:
		panic(fmt.Sprintf("column %s: no view has a %s", name, field.Type)) // a mistake of this file
	}
	return c
}
