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

	"repronet.dev/evidence/gitian"
	"repronet.dev/evidence/guixsigs"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
)

// Other is a file that is no document: a key, a signature, or none of those for a
// reason.
type Other struct {
	Path           string
	Key, Signature bool
	Reason         string
}

// A Note is told of every file that is no document.
type Note func(Other)

// A Refusal is why a document is not handed on.
type Refusal struct{ Err error }

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Err }

// Signed yields the signed documents in a directory, for a project, and notes every
// file that is none. What is to be a document and cannot be read is an error about it;
// one that says nothing of any output is a [*Refusal].
func Signed(tree *guixsigs.Tree, kind ledger.Kind, project string, note Note) iter.Seq2[*Document, error] {
	return func(yield func(*Document, error) bool) {
		for file := range tree.Files() {
			if file.Err != nil && file.Key == nil {
				if !yield(&Document{Name: file.Path, Kind: kind}, file.Err) {
					return
				}
				continue
			}
			for _, found := range file.Documents {
				if !yield(encodeFound(found, kind, project)) {
					return
				}
			}
			if len(file.Documents) == 0 {
				note(Other{file.Path, file.Key != nil, file.SignatureOf != "", file.Reason})
			}
		}
	}
}

func encodeFound(found *guixsigs.Found, kind ledger.Kind, project string) (*Document, error) {
	d := &Document{Name: found.Path, Kind: kind}
	signed := found.Signed(project)
	if kind == ledger.GitianAssert {
		a, err := gitian.Parse(project, found.Text)
		if err != nil {
			return d, &Refusal{err}
		}
		d.Rows = &a.Rows
	} else {
		rows := openpgp.ParseRows(project, found.Text)
		d.Rows = &rows
		if err := rows.Usable(); err != nil {
			return d, &Refusal{err}
		}
		if older, same := signed.Older(&rows); same {
			body, err := older.Encode()
			if err == nil && fitsEntry(body) {
				d.Kind, d.Body = ledger.OpenPGPSums, body
				return d, nil
			}
		}
	}
	var err error
	d.Body, err = signed.Encode()
	return d, err
}

// fitsEntry reports whether a ledger entry can hold a body. It compresses only what
// could be too large.
func fitsEntry(body []byte) bool {
	if len(body) < ledger.MaxEntrySize/2 {
		return true
	}
	_, err := ledger.Pack(ledger.OpenPGPSums, body)
	return err == nil
}

// NarinfoFiles yields the files *.narinfo of a directory and of those in it, in the
// order of their paths, and notes every other file.
func NarinfoFiles(dir string, note Note) iter.Seq2[*Document, error] {
	return func(yield func(*Document, error) bool) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			yield(&Document{Name: dir}, err)
			return
		}
		defer root.Close()
		err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			d := &Document{Name: name, Kind: ledger.Narinfo}
			switch {
			case err != nil:
			case e.IsDir():
				return nil
			case path.Ext(name) != ".narinfo":
				note(Other{Path: name, Reason: "is not called *.narinfo"})
				return nil
			default:
				d.Body, err = readFile(root, name)
			}
			if !yield(d, err) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(&Document{Name: dir}, err)
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
