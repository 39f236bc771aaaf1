package snapshot

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"repronet.dev/ecosystem"
	"repronet.dev/internal/durable"
)

// Other is the folder of the rows of ecosystems that this program does not know: their
// names come from strangers, and each would be a file.
const Other = "other"

// rowGroup is how many rows are compressed together: what a file that is being written
// has in memory.
const rowGroup = 1 << 17

// A table writes the rows of a view into its files, below a directory.
type table[Row any] struct {
	dir  string
	view *View
	from Time // rows of earlier months are left out, see gatherer.from
	open map[string]*file[Row]
}

// A file is a Parquet file that is being written.
type file[Row any] struct {
	to      *os.File
	buffer  *bufio.Writer
	parquet *parquet.GenericWriter[Row]
	rows    []Row
}

func newTable[Row any](dir, view string, from Time) *table[Row] {
	i := slices.IndexFunc(views, func(v View) bool { return v.Name == view })
	return &table[Row]{dir: dir, view: &views[i], from: from, open: map[string]*file[Row]{}}
}

// path returns the file of a row, below the directory of a snapshot.
func (v *View) path(of string, at Time) string {
	if !ecosystem.Known(of) {
		of = Other
	}
	switch v.Files {
	case ByEcosystem:
		return v.Name + "/" + of + ".parquet"
	case ByMonth:
		return v.Name + "/" + of + "/" + monthOf(at) + ".parquet"
	default:
		return v.Name + ".parquet"
	}
}

// monthOf returns the month of a time in UTC, as "2026-11".
func monthOf(t Time) string { return time.UnixMilli(int64(t)).UTC().Format("2006-01") }

// beginOfMonth returns when the month of a time begins, in UTC.
func beginOfMonth(t Time) Time {
	at := time.UnixMilli(int64(t)).UTC()
	return Time(time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli())
}

// add writes a row of an ecosystem that the ledger received at a time.
func (t *table[Row]) add(of string, at Time, row Row) error {
	if t.view.Files == ByMonth && at < t.from {
		return nil
	}
	path := t.view.path(of, at)
	f, open := t.open[path]
	if !open {
		var err error
		if f, err = create[Row](filepath.Join(t.dir, filepath.FromSlash(path))); err != nil {
			return err
		}
		t.open[path] = f
	}
	if f.rows = append(f.rows, row); len(f.rows) < cap(f.rows) {
		return nil
	}
	return f.write()
}

// close completes the files. A view with one file has it also without rows.
func (t *table[Row]) close() error {
	if t.view.Files == Whole && len(t.open) == 0 {
		f, err := create[Row](filepath.Join(t.dir, t.view.path("", 0)))
		if err != nil {
			return err
		}
		t.open[""] = f
	}
	for path, f := range t.open {
		delete(t.open, path)
		if err := errors.Join(f.close(), f.to.Close()); err != nil {
			return err
		}
	}
	return nil
}

// abandon gives the files up that are open after an error.
func (t *table[Row]) abandon() {
	for _, f := range t.open {
		_ = f.to.Close() // the directory is removed
	}
}

// create begins a file. Nothing in it depends on when or where it is written.
func create[Row any](path string) (*file[Row], error) {
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // to be published
	if err != nil {
		return nil, err
	}
	buffer := bufio.NewWriterSize(to, 1<<18)
	return &file[Row]{to: to, buffer: buffer, rows: make([]Row, 0, 128), parquet: parquet.NewGenericWriter[Row](
		buffer, parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), parquet.MaxRowsPerRowGroup(rowGroup), parquet.CreatedBy("repronet", "1", "snapshot"),
	)}, nil
}

func (f *file[Row]) write() error {
	_, err := f.parquet.Write(f.rows)
	clear(f.rows)
	f.rows = f.rows[:0]
	return err
}

// close writes what is left, durably.
func (f *file[Row]) close() error {
	for _, step := range []func() error{f.write, f.parquet.Close, f.buffer.Flush, f.to.Sync} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
