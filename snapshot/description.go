package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/parquet-go/parquet-go"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
	"repronet.dev/reading"
)

// Format is the version of what is in a snapshot and how it is written. Whatever changes
// a byte of a snapshot of the same ledger, a new version of the Parquet library too, is
// another format: two programs of one format write the same bytes.
const Format = 1

// A Description says of what a snapshot was made.
type Description struct {
	Format     int             `json:"format"`
	Origin     string          `json:"origin"` // of the ledger
	Size       uint64          `json:"size"`   // of the ledger
	Root       tlog.Hash       `json:"root"`   // of that tree; base 64
	Rules      reading.Version `json:"rules"`  // that judge the last entry
	Erasures   int             `json:"erasures"`
	ReceivedAt time.Time       `json:"received_at"` // the last entry
}

// Time returns the time; the zero time for 0.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// Describe reads what a snapshot says that it was made of. Nothing is checked.
func Describe(dir string) (*Description, error) {
	text, err := readFile(os.DirFS(dir), PackageFile, maxSums)
	if err != nil {
		return nil, err
	}
	var document struct {
		Repronet *Description `json:"repronet"`
	}
	if err := json.Unmarshal(text, &document); err != nil || document.Repronet == nil {
		return nil, fmt.Errorf("%w: %s says nothing of a ledger", ErrInvalid, PackageFile)
	}
	return document.Repronet, nil
}

// files are the files of each view, by its name, in the order of paths.
type files map[string][]viewFile

// A viewFile is one file of a view.
type viewFile struct {
	path string
	size int64
	rows int64
	sum  attestation.Digest
}

// listFiles lists the files of the views in a directory; the SHA-256 of some is known.
func listFiles(dir string, known map[string]attestation.Digest) (files, error) {
	list := files{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		view, _, _ := strings.Cut(strings.TrimSuffix(path, ".parquet"), "/")
		f, err := openParquet(filepath.Join(dir, filepath.FromSlash(path)))
		if err != nil {
			return err
		}
		sum, is := known[path]
		if !is {
			sum, err = sumOf(filepath.Join(dir, filepath.FromSlash(path)))
		}
		list[view] = append(list[view], viewFile{path, f.Size(), f.NumRows(), sum})
		return errors.Join(err, f.close())
	})
	return list, err
}

// A parquetFile is an open Parquet file.
type parquetFile struct {
	*parquet.File
	file *os.File
}

func openParquet(path string) (_ *parquetFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(file, info.Size(), parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return &parquetFile{f, file}, nil
}

func (f *parquetFile) close() error { return f.file.Close() }

// sums are the SHA-256 of the files, by path.
func (f files) sums() map[string]attestation.Digest {
	sums := map[string]attestation.Digest{}
	for _, view := range f {
		for _, file := range view {
			sums[file.path] = file.sum
		}
	}
	return sums
}

// rows is how many rows a view has.
func (f files) rows(view string) (n int64) {
	for _, file := range f[view] {
		n += file.rows
	}
	return n
}

// paths are the files of a view.
func (f files) paths(view string) []string {
	paths := make([]string, len(f[view]))
	for i := range f[view] {
		paths[i] = f[view][i].path
	}
	slices.Sort(paths)
	return paths
}

// title is what a snapshot is called where it is cited.
func (d *Description) title() string {
	return fmt.Sprintf("Reproducible builds attested in the ledger %s, first %d entries", d.Origin, d.Size)
}

const about = "Who built what, where and with which result: every statement of independent builders about the outputs of builds, the verdicts that follow from them, and their whole history. Each row follows from the public ledger: repronet-verify replay --snapshot proves it."
