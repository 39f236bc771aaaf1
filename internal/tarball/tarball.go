// Package tarball writes tar files whose bytes depend on nothing but what is in them: not on the
// time, the place, the user or the file mode mask of writing, nor on the order of files.
//
// Trust. The entries are the caller's own; paths are not checked.
package tarball

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// An Entry of a tar file: a file copied from another, a file with the given text, or, when its path
// ends in a slash, a directory.
type Entry struct {
	Path  string // no leading slash
	Mode  int64
	Owner int // user and group
	From  string
	Text  string
}

// Write writes the entries sorted, with the directories that lead to them, all of one time.
func Write(w io.Writer, modified time.Time, entries []Entry) error {
	all := map[string]Entry{}
	for _, e := range entries {
		for dir := path.Dir(strings.TrimSuffix(e.Path, "/")); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir+"/"]; !ok {
				all[dir+"/"] = Entry{Path: dir + "/", Mode: 0o755}
			}
		}
		all[e.Path] = e
	}
	sorted := make([]Entry, 0, len(all))
	for _, e := range all {
		sorted = append(sorted, e)
	}
	slices.SortFunc(sorted, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })

	t := tar.NewWriter(w)
	for _, e := range sorted {
		if err := e.write(t, modified); err != nil {
			return fmt.Errorf("packing %s: %w", e.Path, err)
		}
	}
	return t.Close()
}

func (e Entry) write(t *tar.Writer, modified time.Time) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Mode: e.Mode, Uid: e.Owner, Gid: e.Owner, ModTime: modified, Format: tar.FormatUSTAR}
	var content io.Reader
	switch {
	case strings.HasSuffix(e.Path, "/"):
		header.Typeflag = tar.TypeDir
		return t.WriteHeader(header)
	case e.From != "":
		f, err := os.Open(e.From)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		header.Size, content = info.Size(), f
	default:
		header.Size, content = int64(len(e.Text)), strings.NewReader(e.Text)
	}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(t, content)
	return err
}
