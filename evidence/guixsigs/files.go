package guixsigs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"repronet.dev/evidence/openpgp"
)

// A Layout says which files are documents.
type Layout uint8

// The layouts.
const (
	// Sums: checksums. A file is a document if SHA256SUMS is in its name, or if it
	// is signed and has a row of sha256sum. Clearsigned ones are documents too.
	Sums Layout = iota
	// Assertions of Gitian: files whose names end in .assert.
	Assertions
	// Any is both.
	Any
)

// Wanted says what a layout looks for, for people.
func (l Layout) Wanted() string {
	switch l {
	case Sums:
		return "files whose names have SHA256SUMS in them, or with rows of sha256sum, with a detached OpenPGP signature beside each (NAME.asc, .sig, .gpg or .pgp), and clearsigned ones"
	case Assertions:
		return "files NAME.assert with a detached OpenPGP signature beside each (NAME.assert.sig, .asc, .gpg or .pgp)"
	default:
		return Sums.Wanted() + "; or " + Assertions.Wanted()
	}
}

func isAssertion(name string) bool { return strings.HasSuffix(name, ".assert") }

func isSums(name string) bool { return strings.Contains(strings.ToUpper(name), "SHA256SUMS") }

// named reports whether a file of this name has to be a document.
func (l Layout) named(name string) bool {
	return l != Sums && isAssertion(name) || l != Assertions && isSums(name)
}

// foreign says of a name that it is one of another layout's documents.
func (l Layout) foreign(name string) string {
	switch {
	case l == Sums && isAssertion(name):
		return "a Gitian assertion: 'relay gitian' takes those"
	case l == Assertions && isSums(name):
		return "checksums: 'relay guix-sigs' takes those"
	default:
		return ""
	}
}

// reads reports why a text is no document of the layout, by what stands in it.
func (l Layout) reads(text []byte) error {
	const project = "x" // whatever it is, the rows are the same
	if l == Assertions {
		return errors.New("it is not called *.assert")
	}
	rows := openpgp.ParseRows(project, text)
	return rows.Usable()
}

// A File is a file of a tree, and what became of it: exactly one of Documents, Key,
// SignatureOf, Reason and Err is set, but that a key may have an error too.
type File struct {
	Path        string
	Documents   []*Found // clearsigned files can have several
	Key         *KeyFile
	SignatureOf string // the path of the file that it is a signature of
	Reason      string // why it is no document, no key and no signature
	Err         error  // it is to be one of them, and cannot be read
}

// Limits of what is walked.
const (
	maxEntries = 1 << 16 // of one folder
	maxDepth   = 32
	maxFiles   = 1 << 20
)

var errNoKey = errors.New("is called like a key, and has none in it")

// errTooMany ends a walk.
var errTooMany = fmt.Errorf("the tree has more than %d files: no more are looked at", maxFiles)

// Files yields the files in the order of their paths, folder by folder. A folder
// that cannot be read, or is not looked into, is told like a file.
func (t *Tree) Files() iter.Seq[*File] {
	return func(yield func(*File) bool) {
		files := 0
		t.folder(".", 0, func(f *File) bool {
			if files++; files > maxFiles {
				yield(&File{Path: ".", Err: errTooMany})
				return false
			}
			return yield(f)
		})
	}
}

// folder yields the files of a folder and below; false if there are to be no more.
func (t *Tree) folder(folder string, depth int, yield func(*File) bool) bool {
	entries, err := t.list(folder)
	if err == nil && depth > maxDepth {
		err = fmt.Errorf("is more than %d folders deep: nothing in it is looked at", maxDepth)
	}
	if err != nil {
		return yield(&File{Path: folder, Err: err})
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = !e.IsDir()
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		switch {
		case e.IsDir() && slices.Contains([]string{".git", ".hg", ".svn"}, e.Name()):
			if !yield(&File{Path: name, Reason: "a version control system's folder: nothing in it is looked at"}) {
				return false
			}
		case e.IsDir():
			if !t.folder(name, depth+1, yield) {
				return false
			}
		case t.leadsToFolder(name, e):
			if !yield(&File{Path: name, Reason: "a symbolic link to a folder: what is there is looked at where it is"}) {
				return false
			}
		default:
			if !yield(t.file(folder, e.Name(), names)) {
				return false
			}
		}
	}
	return true
}

func (t *Tree) leadsToFolder(name string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := t.root.Stat(name)
	return err == nil && info.IsDir()
}

// signatureSuffixes are the ends of the names of detached signatures, of the file
// whose name stands before.
var signatureSuffixes = []string{".asc", ".sig", ".gpg", ".pgp"}

// signedFile returns the name of the file beside that a name says to be a signature
// of; "" if it does not.
func signedFile(name string, names map[string]bool) string {
	for _, suffix := range signatureSuffixes {
		if signed, ok := strings.CutSuffix(name, suffix); ok && names[signed] {
			return signed
		}
	}
	return ""
}

// signatures returns the paths of the detached signatures beside a file, and whether
// there is a clearsigned copy of it.
func (t *Tree) signatures(file, name string, names map[string]bool) (detached []string, copied bool) {
	for _, suffix := range signatureSuffixes {
		if !names[name+suffix] {
			continue
		}
		begin, err := t.begin(file+suffix, beginning)
		switch kindOf(begin) {
		case aClearsigned:
			copied = true
		case aKey:
		case anything, aSignature:
			if err == nil || !errors.Is(err, fs.ErrNotExist) {
				detached = append(detached, file+suffix)
			}
		}
	}
	return detached, copied
}

// beginning is how many bytes tell what a file is.
const beginning = 4 << 10

// file tells what a file is.
func (t *Tree) file(folder, name string, names map[string]bool) *File {
	f := &File{Path: path.Join(folder, name)}
	named := t.layout.named(name)
	begin, err := t.begin(f.Path, beginning)
	kind := kindOf(begin)
	if signed := signedFile(name, names); signed != "" && kind != aKey && kind != aClearsigned {
		f.SignatureOf = path.Join(folder, signed)
		return f
	}
	signatures, copied := t.signatures(f.Path, name, names)
	foreign := t.layout.foreign(name)
	switch {
	case err != nil && (len(signatures) > 0 || named):
		f.Err = err
	case err != nil:
		f.Reason = "cannot be read: " + err.Error()
	case foreign != "":
		f.Reason = foreign
	case len(signatures) > 0:
		t.detached(f, name, signatures)
	case kind == aClearsigned && t.layout != Assertions:
		t.clearsigned(f, name)
	case kind == aKey:
		t.key(f)
	case kind == aSignature && named:
		f.Err = errors.New("is a signature of a file that is not beside it")
	case kind == aSignature:
		f.Reason = "a signature of a file that is not beside it"
	case copied:
		f.Reason = "a copy without a signature of the clearsigned file beside it"
	case named:
		f.Err = errors.New("has no signature: there is no file with " + strings.Join(signatureSuffixes, ", ") + " behind its name, and it is not clearsigned")
	default:
		f.Reason = "is not signed"
	}
	return f
}

// detached reads a document with the signatures beside it.
func (t *Tree) detached(f *File, name string, signatures []string) {
	text, err := t.read(f.Path, openpgp.MaxSignedTextSize)
	named := t.layout.named(name)
	if err == nil && !named {
		err = t.layout.reads(text)
	}
	switch {
	case err != nil && named:
		f.Err = err
		return
	case err != nil:
		f.Reason = "is signed, and no document of builds: " + err.Error()
		return
	}
	for _, signedBy := range signatures {
		signature, err := t.read(signedBy, openpgp.MaxSignedSignatureSize)
		if err != nil {
			f.Documents, f.Err = nil, fmt.Errorf("its signature %q: %w", path.Base(signedBy), err)
			return
		}
		f.Documents = append(f.Documents, t.found(f.Path, signedBy, text, signature))
	}
}

// clearsigned reads the documents of a clearsigned file.
func (t *Tree) clearsigned(f *File, name string) {
	data, err := t.read(f.Path, openpgp.MaxSignedTextSize+openpgp.MaxSignedSignatureSize)
	if err != nil {
		f.Err = err
		return
	}
	messages, err := openpgp.ParseClearsigned(data)
	if err != nil {
		f.Err = err
		return
	}
	for _, m := range messages {
		if !t.layout.named(name) {
			if err := t.layout.reads(m.Text); err != nil {
				f.Reason = "is clearsigned, and no document of builds: " + err.Error()
				continue
			}
		}
		f.Documents = append(f.Documents, t.found(f.Path, f.Path, m.Text, m.Signature))
	}
	if len(f.Documents) > 0 {
		f.Reason = ""
	}
}

func (t *Tree) found(file, signedBy string, text, signature []byte) *Found {
	stage := strings.TrimSuffix(path.Base(file), ".SHA256SUMS")
	folder := path.Dir(file)
	return &Found{
		Path: file, SignedBy: signedBy, Text: text, Signature: signature,
		Version: path.Base(path.Dir(folder)), Folder: path.Base(folder), Stage: stage,
	}
}

// kind is what a file is by how it begins.
type kind uint8

const (
	anything kind = iota
	aKey
	aSignature
	aClearsigned
)

func kindOf(begin []byte) kind {
	switch {
	case openpgp.IsClearsigned(begin):
		return aClearsigned
	case bytes.Contains(begin, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")), bytes.Contains(begin, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")):
		return aKey
	case bytes.Contains(begin, []byte("-----BEGIN PGP SIGNATURE-----")):
		return aSignature
	default:
		return binaryKind(begin)
	}
}

// binaryKind tells a first packet of OpenPGP (RFC 9580, section 4.2) by its tag and
// the version that its body begins with.
func binaryKind(begin []byte) kind {
	const signature, secretKey, publicKey = 2, 5, 6
	if len(begin) < 8 || begin[0]&0x80 == 0 {
		return anything
	}
	tag, body := begin[0]&0x3f, begin[2:]
	if begin[0]&0x40 == 0 { // the older form, whose length has 1, 2 or 4 bytes
		tag = begin[0] >> 2 & 0xf
		body = begin[min(1+1<<(begin[0]&3), 5):]
	} else if begin[1] >= 192 && begin[1] < 224 {
		body = begin[3:]
	} else if begin[1] == 255 {
		body = begin[6:]
	}
	if version := body[0]; version < 2 || version > 6 {
		return anything
	}
	switch tag {
	case publicKey, secretKey:
		return aKey
	case signature:
		return aSignature
	default:
		return anything
	}
}
