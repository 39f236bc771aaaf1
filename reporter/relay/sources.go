package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path"

	"repronet/evidence/guixsigs"
	"repronet/evidence/narinfo"
	"repronet/ledger"
)

// GuixSigs yields the checksum documents in a directory, for a project. What is
// in the directory and cannot be read is an error about it.
func GuixSigs(tree *guixsigs.Tree, project string) iter.Seq2[*Document, error] {
	return func(yield func(*Document, error) bool) {
		for found, err := range tree.Documents() {
			d := &Document{Kind: ledger.OpenPGPSums}
			switch {
			case err != nil:
				if p, ok := errors.AsType[*guixsigs.PathError](err); ok {
					d.Name = p.Path
				}
			default:
				d.Name = found.Path
				d.Body, err = found.Document(project).Encode()
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// NarinfoFiles yields the files *.narinfo of a directory, in the order of their
// names.
func NarinfoFiles(dir string) iter.Seq2[*Document, error] {
	return func(yield func(*Document, error) bool) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			yield(&Document{Name: dir}, err)
			return
		}
		defer root.Close()
		names, err := fs.Glob(root.FS(), "*.narinfo")
		if err != nil {
			yield(&Document{Name: dir}, err)
			return
		}
		for _, name := range names {
			d := &Document{Name: name, Kind: ledger.Narinfo}
			d.Body, err = readFile(root, name)
			if !yield(d, err) {
				return
			}
		}
	}
}

func readFile(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a named pipe would block
		return nil, errors.New("is not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded(f)
}

func bounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, narinfo.MaxSize+1))
	if err == nil && len(data) > narinfo.MaxSize {
		err = fmt.Errorf("is larger than %d bytes", narinfo.MaxSize)
	}
	return data, err
}

// NarinfoURL yields narinfo that is fetched: the one at a URL that ends in
// .narinfo, or those of store paths from the cache at a URL.
func NarinfoURL(ctx context.Context, client *http.Client, url string, paths iter.Seq[string]) iter.Seq2[*Document, error] {
	return func(yield func(*Document, error) bool) {
		fetch := func(url string) bool {
			d := &Document{Name: url, Kind: ledger.Narinfo}
			var err error
			d.Body, err = narinfo.Fetch(ctx, client, url)
			return yield(d, err) && ctx.Err() == nil
		}
		if path.Ext(url) == ".narinfo" {
			fetch(url)
			return
		}
		for p := range paths {
			at, err := narinfo.URL(url, p)
			if err != nil {
				if !yield(&Document{Name: p, Kind: ledger.Narinfo}, err) {
					return
				}
				continue
			}
			if !fetch(at) {
				return
			}
		}
	}
}
