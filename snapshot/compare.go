package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"repronet.dev/replay"
)

// Compare compares a snapshot that somebody published with one that follows from the
// ledger, and returns the first value that differs as a [*replay.Difference]. Files with
// other bytes and the same rows do not differ: another version of a program wrote them.
// sameBytes tells that there are none.
func Compare(ctx context.Context, ours, theirs string) (sameBytes bool, err error) {
	a, err := readSums(os.DirFS(ours))
	if err != nil {
		return false, err
	}
	b, err := readSums(os.DirFS(theirs))
	if err != nil {
		return false, err
	}
	sameBytes = true
	paths := slices.Sorted(maps.Keys(union(a, b)))
	slices.SortStableFunc(paths, func(x, y string) int { return cmp.Compare(path.Ext(y), path.Ext(x)) }) // rows first: documents say their sums
	for _, path := range paths {
		_, here := a[path]
		_, there := b[path]
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case !here:
			return false, &replay.Difference{Of: path, Field: "file", Ours: "none", Theirs: "one"}
		case !there:
			return false, &replay.Difference{Of: path, Field: "file", Ours: "one", Theirs: "none"}
		case a[path] == b[path]:
			continue
		}
		sameBytes = false
		if err := compareFile(path, filepath.Join(ours, filepath.FromSlash(path)), filepath.Join(theirs, filepath.FromSlash(path))); err != nil {
			return false, err
		}
	}
	return sameBytes, nil
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// compareFile compares two files that do not have the same bytes.
func compareFile(path, ours, theirs string) error {
	name, _, _ := strings.Cut(strings.TrimSuffix(path, ".parquet"), "/")
	i := slices.IndexFunc(views, func(v View) bool { return v.Name == name })
	if i < 0 || !strings.HasSuffix(path, ".parquet") {
		a, err := Describe(filepath.Dir(ours))
		if err != nil {
			return err
		}
		b, err := Describe(filepath.Dir(theirs))
		if err == nil && a.Format != b.Format {
			return nil // its sizes of files and words are that version's own
		}
		return &replay.Difference{Of: path, Field: "text", Ours: "another", Theirs: "this one"}
	}
	return views[i].compare(path, ours, theirs)
}

// compareRows compares two files of a view, row by row.
func compareRows[Row any](v *View, path, ours, theirs string) (err error) {
	defer func() {
		if p := recover(); p != nil { // of the Parquet library, at a file that was made to harm
			err = &replay.Difference{Of: path, Field: "form", Ours: "a file of Parquet", Theirs: fmt.Sprintf("unreadable: %.100v", p)}
		}
	}()
	a, err := openParquet(ours)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	b, err := openParquet(theirs)
	if err != nil {
		return &replay.Difference{Of: path, Field: "form", Ours: "a file of Parquet", Theirs: fmt.Sprintf("unreadable: %.100v", err)}
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if x, y := a.Schema().String(), b.Schema().String(); x != y {
		return &replay.Difference{Of: path, Field: "columns", Ours: "the documented ones", Theirs: "others"}
	}
	if x, y := a.NumRows(), b.NumRows(); x != y && min(x, y) == 0 {
		return &replay.Difference{Of: path, Field: "rows", Ours: fmt.Sprint(x), Theirs: fmt.Sprint(y)}
	}
	x, y := parquet.NewGenericReader[Row](a.File), parquet.NewGenericReader[Row](b.File)
	defer func() { err = errors.Join(err, x.Close(), y.Close()) }()
	return compareReaders(v, path, x, y)
}

func compareReaders[Row any](v *View, path string, ours, theirs *parquet.GenericReader[Row]) error {
	var a, b [256]Row
	for number := int64(0); ; {
		n, err := readFull(ours, a[:])
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		m, err := readFull(theirs, b[:])
		if err != nil {
			return &replay.Difference{Of: path, Field: "form", Ours: "a file of Parquet", Theirs: fmt.Sprintf("unreadable: %.100v", err)}
		}
		for i := range min(n, m) {
			if err := v.compareRow(fmt.Sprintf("%s: row %d", path, number+int64(i)+1), reflect.ValueOf(&a[i]).Elem(), reflect.ValueOf(&b[i]).Elem()); err != nil {
				return err
			}
		}
		switch number += int64(min(n, m)); {
		case n != m:
			return &replay.Difference{Of: path, Field: "rows", Ours: fmt.Sprint(ours.NumRows()), Theirs: fmt.Sprint(theirs.NumRows())}
		case n < len(a):
			return nil
		}
	}
}

// readFull reads rows until there are as many, or no more.
func readFull[Row any](from *parquet.GenericReader[Row], rows []Row) (n int, err error) {
	clear(rows)
	for n < len(rows) {
		read, err := from.Read(rows[n:])
		n += read
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// compareRow names the first column in which two rows differ.
func (v *View) compareRow(of string, ours, theirs reflect.Value) error {
	for i, c := range v.Columns {
		a, b := ours.Field(i).Interface(), theirs.Field(i).Interface()
		if !same(a, b) {
			return &replay.Difference{Of: of + v.named(ours), Field: c.Name, Ours: shown(a), Theirs: shown(b)}
		}
	}
	return nil
}

// same compares two values; no list is the same as an empty one.
func same(a, b any) bool {
	if x, ok := a.([]string); ok {
		return slices.Equal(x, b.([]string))
	}
	return reflect.DeepEqual(a, b)
}

// shown writes a value for people.
func shown(value any) string {
	switch value := value.(type) {
	case Time:
		if value == 0 {
			return "nothing"
		}
		return value.Time().Format("2006-01-02T15:04:05.000Z")
	case *uint64:
		if value == nil {
			return "nothing"
		}
		return fmt.Sprint(*value)
	case string:
		if value == "" {
			return "nothing"
		}
		return fmt.Sprintf("%.600s", value)
	default:
		return fmt.Sprint(value)
	}
}

// named says what a row is of, by the columns that tell rows apart.
func (v *View) named(row reflect.Value) string {
	var names []string
	for i, c := range v.Columns {
		switch c.Name {
		case "output", "build", "builder", "operator", "environment", "set_name", "revision", "ledger_index":
			if text := shown(row.Field(i).Interface()); text != "nothing" && len(names) < 3 {
				names = append(names, c.Name+" "+text)
			}
		}
	}
	return " (" + strings.Join(names, ", ") + ")"
}
