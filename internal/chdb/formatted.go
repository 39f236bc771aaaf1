package chdb

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Formatted runs one statement with the given settings and returns its result as the engine
// writes it in a format, such as CSVWithNames or Parquet: whole, in memory. A context that
// ends does not stop the statement; the settings have to bound it. A failure is an error whose
// text is ClickHouse's, with its code (see [Code]).
func (e *Engine) Formatted(ctx context.Context, database, sql, format string, settings map[string]string) ([]byte, error) {
	want := scope{database: database}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		all = append(all, name+" = '"+stringEscapes.Replace(settings[name])+"'")
	}
	if len(all) > 0 {
		want.settings = "SET " + strings.Join(all, ", ")
	}
	s, err := e.acquire(ctx, want)
	if err != nil {
		return nil, err
	}
	statements, class := s.classify(sql)
	if statements > 1 {
		err = errSeveral
	}
	var result []byte
	if err == nil {
		result, err = s.query(sql, format, nil)
	}
	e.release(s, err != nil || class >= classControl) // a failure may leave half a result in the session
	return result, err
}

// Code is ClickHouse's code of an error that the engine reported, 0 of any other.
func Code(err error) int {
	if e, ok := err.(*exception); ok { //nolint:errorlint // the engine's own, as Formatted returns it
		return e.code
	}
	return 0
}
