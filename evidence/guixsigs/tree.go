// Package guixsigs reads directories in which projects publish what builders signed
// about their builds: checksums of Guix builds, assertions of Gitian builds, and the
// builders' keys. Repositories of such documents look like
//
//	<version>/<builder>/<stage>.SHA256SUMS      the checksums of one build
//	<version>/<builder>/<stage>.SHA256SUMS.asc  a detached OpenPGP signature
//	<release>/<builder>/<name>-build.assert     a Gitian assertion
//	<release>/<builder>/<name>-build.assert.sig a detached OpenPGP signature
//	builder-keys/<builder>.gpg                  a certificate
//
// and no two of them alike, so that folders decide nothing: files are found at any
// depth, and what one is follows from its name's end, from what lies beside it,
// and from how it begins ([Layout]). The names of folders and files prove nothing: they are told
// to people as hints of where something was found. What a document says and who
// signed it is the subject of packages openpgp and gitian.
//
// # Model
//
// [Tree.Files] yields every file once, with what became of it: documents, a file of
// keys, a signature of another file, none of these and why not, or an error. Nothing
// is passed over in silence.
//
// # Trust
//
// The directory is not trusted. Symbolic links do not lead out of it, and those to
// folders are not followed; only regular files are opened; sizes, depth, and the
// number of files are bounded.
package guixsigs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"repronet.dev/evidence/openpgp"
)

// A Tree is a directory of documents and keys.
type Tree struct {
	root   *os.Root
	layout Layout
}

// Open opens a directory of checksums.
func Open(dir string) (*Tree, error) { return OpenLayout(dir, Sums) }

// OpenLayout opens a directory of documents of a layout.
func OpenLayout(dir string, layout Layout) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening attestations: %w", err)
	}
	return &Tree{root, layout}, nil
}

// Close releases the directory.
func (t *Tree) Close() error { return t.root.Close() }

// A Found is a signed document with where it was found.
type Found struct {
	Path      string // of the file with the text in the tree, with slashes
	Signature []byte
	Text      []byte
	// SignedBy is the path of the file with the signature: Path itself where it is
	// clearsigned.
	SignedBy string
	// Version, Folder and Stage are parts of Path: hints, never proofs.
	Version, Folder, Stage string
}

// Document returns the evidence for a project, in the older form.
func (f *Found) Document(project string) *openpgp.Document {
	return &openpgp.Document{Project: project, Text: f.Text, Signature: f.Signature}
}

// Signed returns the evidence for a project, in the form in which texts are raw.
func (f *Found) Signed(project string) *openpgp.Signed {
	return &openpgp.Signed{Project: project, Text: f.Text, Signature: f.Signature}
}

// A PathError is something in the tree that could not be read.
type PathError struct {
	Path string
	Err  error
}

func (e *PathError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Err) }

// Unwrap returns the reason.
func (e *PathError) Unwrap() error { return e.Err }

// Documents yields the documents in the order of their paths. An error is a
// [*PathError]; the rest follows.
func (t *Tree) Documents() iter.Seq2[*Found, error] {
	return func(yield func(*Found, error) bool) {
		for file := range t.Files() {
			if file.Err != nil && file.Key == nil && !yield(nil, &PathError{file.Path, file.Err}) {
				return
			}
			for _, found := range file.Documents {
				if !yield(found, nil) {
					return
				}
			}
		}
	}
}

// list returns what is in a folder, sorted by name.
func (t *Tree) list(folder string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.root.FS(), folder)
	if err != nil {
		return nil, reason(err)
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("holds more than %d entries", maxEntries)
	}
	return entries, nil
}

// read reads a regular file of at most limit bytes.
func (t *Tree) read(name string, limit int64) ([]byte, error) {
	data, err := t.begin(name, limit+1)
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	return data, err
}

// begin reads the first bytes of a regular file, at most so many.
func (t *Tree) begin(name string, most int64) ([]byte, error) {
	// A named pipe would block when opened.
	info, err := t.root.Stat(name)
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := t.root.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, reason(err)
	}
	return data, nil
}

// reason drops the path from an error that is told with its path.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
