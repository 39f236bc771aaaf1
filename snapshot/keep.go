package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
)

// kept is what of an earlier snapshot is the same in this one.
type kept struct {
	from Time                          // the first month of which rows are written anew
	sums map[string]attestation.Digest // by path; checked
}

// keep links the files of an earlier snapshot that nothing since can have changed: those
// of the months that were over when it was made. What entries of a month say follows from
// the entries up to them, and from the erasures, of which there must be none since. If
// the snapshot is another ledger's, another format's or damaged, nothing is kept.
func (c *Config) keep(dir string) (*kept, error) {
	none := &kept{}
	if c.Previous == "" {
		return none, nil
	}
	d, err := Describe(c.Previous)
	if err != nil {
		return none, nil //nolint:nilerr // everything is written anew then
	}
	if d.Format != Format || d.Origin != c.Ledger.Origin || d.Size > c.Ledger.Size || d.Erasures != c.erasures() {
		return none, nil
	}
	sums, err := readSums(os.DirFS(c.Previous))
	if err != nil {
		return none, nil //nolint:nilerr // likewise
	}
	k := &kept{from: beginOfMonth(Time(d.ReceivedAt.UnixMilli())), sums: map[string]attestation.Digest{}}
	for path, sum := range sums {
		if month := monthIn(path); month == "" || month >= monthOf(k.from) {
			continue
		}
		whole, err := link(c.Previous, dir, path, sum)
		if err != nil {
			return nil, err
		}
		if !whole {
			return none, empty(dir)
		}
		k.sums[path] = sum
	}
	return k, nil
}

// monthIn returns the month of a file of a view by month; "" of any other.
func monthIn(path string) string {
	folders := strings.Split(path, "/")
	if len(folders) != 3 {
		return ""
	}
	month, _ := strings.CutSuffix(folders[2], ".parquet")
	return month
}

// link makes a file of one directory one of another, too, if it has the SHA-256.
func link(from, to, path string, sum attestation.Digest) (whole bool, err error) {
	source, target := filepath.Join(from, filepath.FromSlash(path)), filepath.Join(to, filepath.FromSlash(path))
	got, err := sumOf(source)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || got != sum {
		return false, err
	}
	if err := durable.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return false, err
	}
	return true, os.Link(source, target)
}

// empty removes what is in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
