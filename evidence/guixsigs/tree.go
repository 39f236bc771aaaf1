// Package guixsigs reads a directory in the layout in which projects publish the
// checksums of their Guix builds:
//
//	<version>/<builder>/<stage>.SHA256SUMS      the checksums of one build
//	<version>/<builder>/<stage>.SHA256SUMS.asc  a detached OpenPGP signature
//	builder-keys/<builder>.gpg                  a certificate
//
// Stages are usually noncodesigned, all and codesigned; any name is read. The
// names of folders and files prove nothing: they are told to people as hints of
// where something was found. What a document says and who signed it is package
// openpgp's subject.
//
// The directory is not trusted. Symbolic links do not lead out of it, only
// regular files are opened, and sizes are bounded. What is missing or unreadable
// is told and passed over.
package guixsigs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"repronet/evidence/openpgp"
)

const (
	keysFolder      = "builder-keys"
	sumsSuffix      = ".SHA256SUMS"
	signatureSuffix = ".asc"
)

// A Tree is a directory of that layout.
type Tree struct{ root *os.Root }

// Open opens a directory. It fails if the directory holds neither keys nor
// anything that could be a version.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening attestations: %w", err)
	}
	return &Tree{root}, nil
}

// Close releases the directory.
func (t *Tree) Close() error { return t.root.Close() }

// A Found is a checksum document with where it was found.
type Found struct {
	Path string // of the checksum file in the tree, with slashes
	// Version, Folder and Stage are the parts of Path: hints, never proofs.
	Version, Folder, Stage string
	Text, Signature        []byte
}

// Document returns the evidence for a project.
func (f *Found) Document(project string) *openpgp.Document {
	return &openpgp.Document{Project: project, Text: f.Text, Signature: f.Signature}
}

// A PathError is something in the tree that was passed over.
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
		versions, err := t.list(".")
		if err != nil {
			yield(nil, &PathError{".", err})
			return
		}
		for _, version := range versions {
			if version == keysFolder || strings.HasPrefix(version, ".") || !t.isDir(version) {
				continue
			}
			if !t.version(version, yield) {
				return
			}
		}
	}
}

func (t *Tree) version(version string, yield func(*Found, error) bool) bool {
	builders, err := t.list(version)
	if err != nil {
		return yield(nil, &PathError{version, err})
	}
	for _, builder := range builders {
		folder := path.Join(version, builder)
		if !t.isDir(folder) {
			continue
		}
		names, err := t.list(folder)
		if err != nil {
			if !yield(nil, &PathError{folder, err}) {
				return false
			}
			continue
		}
		for _, name := range names {
			stage, ok := strings.CutSuffix(name, sumsSuffix)
			if !ok {
				continue
			}
			f := &Found{Path: path.Join(folder, name), Version: version, Folder: builder, Stage: stage}
			if err := t.readDocument(f); err != nil {
				if !yield(nil, err) {
					return false
				}
			} else if !yield(f, nil) {
				return false
			}
		}
	}
	return true
}

func (t *Tree) readDocument(f *Found) (err error) {
	if f.Text, err = t.read(f.Path, openpgp.MaxTextSize); err != nil {
		return &PathError{f.Path, err}
	}
	signature := f.Path + signatureSuffix
	f.Signature, err = t.read(signature, openpgp.MaxSignatureSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &PathError{f.Path, errors.New("has no signature: there is no .asc file beside it")}
	case err != nil:
		return &PathError{signature, err}
	}
	return nil
}

// A KeyFile is a file of certificates.
type KeyFile struct {
	Path         string
	Data         []byte
	Certificates []*openpgp.Certificate
}

// Keys yields the files of certificates in the order of their names. A tree
// without any has none. An error is a [*PathError]; the rest follows.
func (t *Tree) Keys() iter.Seq2[*KeyFile, error] {
	return func(yield func(*KeyFile, error) bool) {
		names, err := t.list(keysFolder)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(nil, &PathError{keysFolder, err})
			return
		}
		for _, name := range names {
			if ext := path.Ext(name); ext != ".gpg" && ext != ".asc" && ext != ".pgp" {
				continue
			}
			k := &KeyFile{Path: path.Join(keysFolder, name)}
			if k.Data, err = t.read(k.Path, openpgp.MaxCertificateSize); err == nil {
				k.Certificates, err = openpgp.ParseCertificates(k.Data)
			}
			if err != nil {
				if !yield(nil, &PathError{k.Path, err}) {
					return
				}
			} else if !yield(k, nil) {
				return
			}
		}
	}
}

// maxEntries bounds what is listed of one folder.
const maxEntries = 1 << 16

// list returns the names in a folder, sorted.
func (t *Tree) list(folder string) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), folder)
	if err != nil {
		return nil, reason(err)
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("holds more than %d entries", maxEntries)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (t *Tree) isDir(name string) bool {
	info, err := t.root.Stat(name)
	return err == nil && info.IsDir()
}

// read reads a regular file of at most limit bytes.
func (t *Tree) read(name string, limit int64) ([]byte, error) {
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
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, reason(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
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
