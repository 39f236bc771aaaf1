package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A column takes its values out of rows of type R.
type column[R any] struct {
	name, chType string
	values       func(rows []R) any // a slice, as the driver's columns take it
}

func col[R, T any](name, chType string, value func(*R) T) column[R] {
	return column[R]{name, chType, func(rows []R) any {
		values := make([]T, len(rows))
		for i := range rows {
			values[i] = value(&rows[i])
		}
		return values
	}}
}

// insert writes rows as one block, which ClickHouse takes as a whole or not.
// Naming the columns' types spares the driver a question to the server.
func insert[R any](ctx context.Context, conn driver.Conn, table string, columns []column[R], rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	names := make([]string, len(columns))
	types := make([]clickhouse.ColumnNameAndType, len(columns))
	for i, c := range columns {
		names[i] = c.name
		types[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.chType}
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(types))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("writing %s: %w", table, err)
	}
	for i, c := range columns {
		if err := batch.Column(i).Append(c.values(rows)); err != nil {
			return fmt.Errorf("writing %s: %s: %w", table, c.name, errors.Join(err, batch.Abort()))
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("writing %s: %w", table, err)
	}
	return nil
}

// scan yields the rows of a query as read makes them. Who stops early ends the
// query too.
func scan[R any](ctx context.Context, conn driver.Conn, read func(driver.Rows) (R, error), query string, args ...any) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var zero R
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		rows, err := conn.Query(ctx, query, args...)
		if err != nil {
			yield(zero, err)
			return
		}
		for rows.Next() {
			row, err := read(rows)
			if !yield(row, err) || err != nil {
				cancel() // or Close would read the result to its end
				_ = rows.Close()
				return
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			yield(zero, err)
		}
	}
}

// list collects what scan yields.
func list[R any](ctx context.Context, conn driver.Conn, read func(driver.Rows) (R, error), query string, args ...any) ([]R, error) {
	all := []R{}
	for row, err := range scan(ctx, conn, read, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}
