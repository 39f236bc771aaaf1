package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
)

// The files of a snapshot beside those of the views.
const (
	PackageFile   = "datapackage.json"
	CroissantFile = "croissant.json"
	CitationFile  = "CITATION.cff"
	LicenceFile   = "LICENSE"
	// SumsFile lists the SHA-256 of all files but the following, as sha256sum does.
	SumsFile = "SHA256SUMS"
	// SignatureFile is the ledger's word for it, and CheckpointFile the ledger's signed
	// state that it was made from. They are not what anybody can make.
	SignatureFile  = "SHA256SUMS.note"
	CheckpointFile = "checkpoint"
)

// ErrInvalid is wrapped by every error that says that a snapshot is not what its ledger
// signed.
var ErrInvalid = errors.New("invalid snapshot")

const (
	maxSignature = 64 << 10
	maxSums      = 64 << 20
)

// A Signed is what the ledger's key signed of a snapshot.
type Signed struct {
	Origin string
	Size   uint64 // of the ledger
	Root   tlog.Hash
	Sums   attestation.Digest // of SumsFile
}

// statementHead begins what is signed. No ledger's origin has a space, so that no reader
// takes it for a checkpoint.
const statementHead = "repronet snapshot v1"

// statement is the text that the ledger's key signs, as a note (C2SP signed-note):
//
//	repronet snapshot v1
//	<origin>
//	<size of the ledger>
//	<root hash, in base 64>
//	<SHA-256 of SHA256SUMS, in hexadecimal>
func statement(d *Description, sums []byte) string {
	return fmt.Sprintf("%s\n%s\n%d\n%s\n%x\n", statementHead, d.Origin, d.Size, base64.StdEncoding.EncodeToString(d.Root[:]), sha256.Sum256(sums))
}

// parseSignature checks the signature of a snapshot, and reads what was signed.
func parseSignature(text []byte, key note.Verifier) (*Signed, error) {
	n, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, SignatureFile, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 6 || lines[0] != statementHead || lines[5] != "" {
		return nil, fmt.Errorf("%w: %s does not speak of a snapshot in a form that this program knows", ErrInvalid, SignatureFile)
	}
	s := &Signed{Origin: lines[1]}
	size, err := strconv.ParseUint(lines[2], 10, 62)
	if err != nil || strconv.FormatUint(size, 10) != lines[2] {
		return nil, fmt.Errorf("%w: %s: %.40q is no size of a ledger", ErrInvalid, SignatureFile, lines[2])
	}
	s.Size = size
	root, err := base64.StdEncoding.Strict().DecodeString(lines[3])
	if err != nil || len(root) != tlog.HashSize {
		return nil, fmt.Errorf("%w: %s: %.60q is no root hash", ErrInvalid, SignatureFile, lines[3])
	}
	s.Root = tlog.Hash(root)
	if err := s.Sums.UnmarshalText([]byte(lines[4])); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, SignatureFile, err)
	}
	if s.Origin != key.Name() {
		return nil, fmt.Errorf("%w: it is of the ledger %.100q, not of %q", ErrInvalid, s.Origin, key.Name())
	}
	return s, nil
}

// Check checks that a directory is the snapshot that a ledger's key signed, byte for
// byte: neither more nor less. Errors about what is in it wrap [ErrInvalid].
func Check(dir string, key note.Verifier) (_ *Signed, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	text, err := readFile(root.FS(), SignatureFile, maxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s: nobody signed it", ErrInvalid, dir, SignatureFile)
	}
	if err != nil {
		return nil, err
	}
	signed, err := parseSignature(text, key)
	if err != nil {
		return nil, err
	}
	if text, err = readFile(root.FS(), SumsFile, maxSums); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if sha256.Sum256(text) != signed.Sums {
		return nil, fmt.Errorf("%w: %s is not what was signed", ErrInvalid, SumsFile)
	}
	if err := checkCheckpoint(root.FS(), key, signed); err != nil {
		return nil, err
	}
	return signed, checkFiles(dir, root.FS())
}

// checkCheckpoint checks that the ledger's state is the one that the snapshot is of.
func checkCheckpoint(dir fs.FS, key note.Verifier, signed *Signed) error {
	text, err := readFile(dir, CheckpointFile, maxSignature)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c, err := ledger.OpenCheckpoint(text, key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if c.Size != signed.Size || c.Root != signed.Root {
		return fmt.Errorf("%w: its checkpoint is of %d entries, and it was signed as of %d", ErrInvalid, c.Size, signed.Size)
	}
	return nil
}

// checkFiles checks the files against the sums.
func checkFiles(dir string, in fs.FS) error {
	sums, err := readSums(in)
	if err != nil {
		return err
	}
	if err := fs.WalkDir(in, ".", func(path string, d fs.DirEntry, err error) error {
		switch _, listed := sums[path]; {
		case err != nil:
			return err
		case d.IsDir() || listed && d.Type().IsRegular():
			return nil
		case !slices.Contains([]string{SumsFile, SignatureFile, CheckpointFile}, path):
			return fmt.Errorf("%w: %s is not in %s, or is no file", ErrInvalid, path, SumsFile)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(sums)) {
		sum, err := sumOf(filepath.Join(dir, filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is missing", ErrInvalid, path)
		}
		if err != nil {
			return err
		}
		if sum != sums[path] {
			return fmt.Errorf("%w: %s is not what was signed: it has the SHA-256 %s", ErrInvalid, path, sum.Hex())
		}
	}
	return nil
}

// readSums reads the list of files.
func readSums(dir fs.FS) (map[string]attestation.Digest, error) {
	text, err := readFile(dir, SumsFile, maxSums)
	if err != nil {
		return nil, err
	}
	sums := map[string]attestation.Digest{}
	for number, line := range slices.Collect(strings.Lines(string(text))) {
		hex, path, found := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		var sum attestation.Digest
		if err := sum.UnmarshalText([]byte(hex)); err != nil || !found || !fs.ValidPath(path) || !strings.HasSuffix(line, "\n") {
			return nil, fmt.Errorf("%w: line %d of %s is not a SHA-256, two spaces and a path", ErrInvalid, number+1, SumsFile)
		}
		if _, twice := sums[path]; twice {
			return nil, fmt.Errorf("%w: %s lists %s twice", ErrInvalid, SumsFile, path)
		}
		sums[path] = sum
	}
	return sums, nil
}

// sum lists the SHA-256 of all files in a directory; of some it is known.
func sum(dir string, known map[string]attestation.Digest) ([]byte, error) {
	var text bytes.Buffer
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error { // in the order of names
		if err != nil || d.IsDir() {
			return err
		}
		sum, is := known[path]
		if !is {
			if sum, err = sumOf(filepath.Join(dir, filepath.FromSlash(path))); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(&text, "%s  %s\n", sum.Hex(), path)
		return err
	})
	return text.Bytes(), err
}

func sumOf(path string) (sum attestation.Digest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return attestation.Digest(h.Sum(nil)), nil
}

// readFile reads a file of bounded size.
func readFile(dir fs.FS, name string, most int64) (_ []byte, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%w: %s has more than %d bytes", ErrInvalid, name, most)
	}
	return data, err
}
