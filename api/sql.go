package api

import "github.com/go-json-experiment/json/jsontext"

// SQLPath answers questions in SQL over the views of the last snapshot.
const SQLPath = "/api/v1/sql"

// Headers of an answer in SQL.
const (
	// SnapshotHeader names the snapshot that an answer was made from.
	SnapshotHeader = "Repronet-Snapshot"
	// SQLLimitsHeader says what a query may cost: seconds=20, rows=1000000, bytes=67108864, memory=1073741824.
	SQLLimitsHeader = "Repronet-SQL-Limits"
)

// An SQLFormat is how a result is written.
type SQLFormat string

// The formats of results.
const (
	SQLJSON    SQLFormat = "json"    // an SQLResult
	SQLCSV     SQLFormat = "csv"     // with the columns' names in the first line
	SQLLines   SQLFormat = "jsonl"   // an object a line
	SQLArrow   SQLFormat = "arrow"   // an Arrow IPC file
	SQLParquet SQLFormat = "parquet" // zstd
)

var sqlTypes = []struct {
	format SQLFormat
	media  string
}{
	{SQLJSON, "application/json"},
	{SQLCSV, "text/csv; charset=utf-8; header=present"},
	{SQLLines, LinesType},
	{SQLArrow, "application/vnd.apache.arrow.file"},
	{SQLParquet, "application/vnd.apache.parquet"},
}

// SQLFormats lists the formats of results, first the one of an answer to a request that
// names none.
func SQLFormats() []SQLFormat {
	all := make([]SQLFormat, len(sqlTypes))
	for i, t := range sqlTypes {
		all[i] = t.format
	}
	return all
}

// MediaType is that of a result in the format, "" of one that there is not.
func (f SQLFormat) MediaType() string {
	for _, t := range sqlTypes {
		if t.format == f {
			return t.media
		}
	}
	return ""
}

// An SQLQuestion is a query, and how its result is wanted.
type SQLQuestion struct {
	SQL    string
	Format SQLFormat
	// Limit is how many rows of the result are wanted at most; 0: all, up to the server's limit.
	Limit int
}

// An SQLAnswer says what a result is of.
type SQLAnswer struct {
	Snapshot string // its name
	Indexed  uint64 // ledger entries that it was made from
}

// An SQLResult is a result in JSON, as ClickHouse's format JSONCompact has it.
type SQLResult struct {
	Meta []SQLColumn        `json:"meta" doc:"The columns."`
	Data [][]jsontext.Value `json:"data" doc:"The rows: values in the order of the columns."`
	Rows int                `json:"rows" doc:"How many rows there are."`
}

// An SQLColumn is a column of a result.
type SQLColumn struct {
	Name string `json:"name"`
	Type string `json:"type" doc:"As ClickHouse names types."`
}
