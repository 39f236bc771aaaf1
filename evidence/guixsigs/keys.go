package guixsigs

import (
	"iter"
	"path"
	"slices"
	"strings"

	"repronet.dev/evidence/openpgp"
)

// A KeyFile is a file of certificates.
type KeyFile struct {
	Path         string
	Data         []byte
	Certificates []*openpgp.Certificate
	// Failures are why other certificates of the file are none.
	Failures []error
}

// key reads a file of keys, whatever it is called. A file that is called so, and
// holds none, is told by [Tree.Keys].
func (t *Tree) key(f *File) {
	f.Key = &KeyFile{Path: f.Path}
	f.Key.Data, f.Err = t.read(f.Path, openpgp.MaxCertificateSize)
}

// parse reads the certificates.
func (k *KeyFile) parse() (err error) {
	k.Certificates, k.Failures, err = openpgp.ReadCertificates(k.Data)
	if err == nil && len(k.Certificates) == 0 {
		err = k.Failures[0]
	}
	return err
}

// keySuffixes are the ends of the names of files of keys.
var keySuffixes = []string{".gpg", ".asc", ".pgp"}

// Keys yields the files of certificates in the tree, in the order of their paths: files that
// begin as keys do, whatever they are called, and those that are called like one
// and are none, which is an error. An error is a [*PathError]; the rest follows.
func (t *Tree) Keys() iter.Seq2[*KeyFile, error] {
	return func(yield func(*KeyFile, error) bool) {
		for f := range t.Files() {
			if !f.yieldKey(yield) {
				return
			}
		}
	}
}

// KeyOf returns the keys of a file, with its certificates read; nil if it has
// nothing to do with keys. The error is a [*PathError].
func (f *File) KeyOf() (*KeyFile, error) {
	err := f.Err
	switch {
	case f.Key != nil && err == nil:
		if err = f.Key.parse(); err == nil {
			return f.Key, nil
		}
	case f.Key != nil:
	case f.Reason != "" && slices.Contains(keySuffixes, path.Ext(f.Path)) && !strings.HasPrefix(f.Reason, "a signature"):
		return nil, &PathError{f.Path, errNoKey}
	default:
		return nil, nil //nolint:nilnil // no key, and none expected
	}
	return nil, &PathError{f.Path, err}
}

func (f *File) yieldKey(yield func(*KeyFile, error) bool) bool {
	k, err := f.KeyOf()
	return k == nil && err == nil || yield(k, err)
}
