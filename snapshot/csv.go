package snapshot

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// WriteCSV writes a view of a snapshot as CSV (RFC 4180) for programs that read no
// Parquet: a line with the columns' names, then the rows, file by file. NULL is an empty
// field, times are in RFC 3339, and the items of a list have spaces between them.
func WriteCSV(ctx context.Context, to io.Writer, dir, view string) error {
	i := slices.IndexFunc(views, func(v View) bool { return v.Name == view })
	if i < 0 {
		var names []string
		for _, v := range views {
			names = append(names, v.Name)
		}
		return fmt.Errorf("there is no view %q: want one of %s", view, strings.Join(names, ", "))
	}
	v := &views[i]
	files, err := fs.Glob(os.DirFS(dir), v.Glob())
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, PackageFile)); err != nil {
		return fmt.Errorf("%s is no snapshot: %w", dir, err)
	}
	lines := csv.NewWriter(to)
	header := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		header[i] = c.Name
	}
	if err := lines.Write(header); err != nil {
		return err
	}
	for _, path := range files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := v.lines(filepath.Join(dir, filepath.FromSlash(path)), lines); err != nil {
			return err
		}
	}
	lines.Flush()
	return lines.Error()
}

// writeLines writes the rows of a file.
func writeLines[Row any](path string, to *csv.Writer) (err error) {
	f, err := openParquet(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	rows := parquet.NewGenericReader[Row](f.File)
	defer func() { err = errors.Join(err, rows.Close()) }()
	var some [256]Row
	line := make([]string, reflect.TypeFor[Row]().NumField())
	for {
		n, err := readFull(rows, some[:])
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		for r := range n {
			row := reflect.ValueOf(&some[r]).Elem()
			for i := range line {
				line[i] = cell(row.Field(i).Interface())
			}
			if err := to.Write(line); err != nil {
				return err
			}
		}
		if n < len(some) {
			return nil
		}
	}
}

func cell(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []string:
		return strings.Join(value, " ")
	default:
		if text := shown(value); text != "nothing" {
			return text
		}
		return ""
	}
}
