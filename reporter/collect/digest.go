package collect

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nix-community/go-nix/pkg/nar"

	"repronet.dev/attestation"
)

// copySize is how many bytes are hashed at a time: enough that the calls around
// them do not count.
const copySize = 256 << 10

// Digest returns the SHA-256 of a file, or of the NAR serialisation of a
// directory, and which of the two it is. It follows a symbolic link.
func Digest(path string) (attestation.Digest, attestation.DigestKind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return attestation.Digest{}, "", err
	}
	switch {
	case info.IsDir():
		// The link itself would be what a NAR of it contains.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return attestation.Digest{}, "", err
		}
		digest, err := narDigest(path)
		return digest, attestation.NAR, err
	case info.Mode().IsRegular():
		digest, err := fileDigest(path)
		return digest, attestation.File, err
	default:
		return attestation.Digest{}, "", fmt.Errorf("%s is neither a file nor a directory", path)
	}
}

func fileDigest(path string) (attestation.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return attestation.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, copySize)); err != nil {
		return attestation.Digest{}, fmt.Errorf("hashing %s: %w", path, err)
	}
	return attestation.Digest(h.Sum(nil)), nil
}

// narDigest returns the NAR hash of a path, a symbolic link as the link.
func narDigest(path string) (attestation.Digest, error) {
	h := sha256.New()
	w := bufio.NewWriterSize(h, copySize)
	if err := nar.DumpPath(w, path); err != nil {
		return attestation.Digest{}, fmt.Errorf("hashing %s: %w", path, err)
	}
	if err := w.Flush(); err != nil {
		return attestation.Digest{}, fmt.Errorf("hashing %s: %w", path, err)
	}
	return attestation.Digest(h.Sum(nil)), nil
}
