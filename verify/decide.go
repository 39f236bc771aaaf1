package verify

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nix-community/go-nix/pkg/nar"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ecosystem"
)

// A Finding is what evidence comes to by a quorum.
type Finding string

// The findings.
const (
	// Accepted: as many operators as were asked for agree, none dissents, and
	// the digest that was given, if any, is theirs.
	Accepted Finding = "reproduced"
	// Diverged: the operators contradict each other.
	Diverged Finding = "diverged"
	// Mismatch: they agree, and on another digest than the one given.
	Mismatch Finding = "mismatch"
	// Insufficient: too few operators have spoken.
	Insufficient Finding = "insufficient"
)

// Decide is the policy of repronet-verify output: at least quorum operators, all
// with one digest, which is the given one, unless none (nil) is.
func (e *Evidence) Decide(quorum int, digest *attestation.Digest) Finding {
	switch {
	case e.Judgement.Verdict == divergence.Diverged:
		return Diverged
	case e.Judgement.Operators < max(quorum, 1):
		return Insufficient
	case digest != nil && *digest != e.Digests()[0].Digest:
		return Mismatch
	default:
		return Accepted
	}
}

// ErrNoKind is what [Evidence.DigestKind] wraps if no claim says what to hash.
var ErrNoKind = errors.New("no claim says what the digest is of")

// DigestKind returns what the digests that count are of.
func (e *Evidence) DigestKind() (attestation.DigestKind, error) {
	positions := e.Digests()
	if len(positions) == 0 {
		return "", ErrNoKind
	}
	for _, p := range positions {
		if p.Kind != positions[0].Kind {
			return "", fmt.Errorf("%w: some claims are of a NAR, some of a file", ErrNoKind)
		}
	}
	return positions[0].Kind, nil
}

// ResolvePath follows symbolic links, which builds leave beside their sources
// ("result"). A path that is one of a store is taken as it is: a link there is what
// was built, and the store may be at another place.
func ResolvePath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil || ecosystem.Of(ecosystem.OfKey(path)).Store != "" {
		return path, err
	}
	return filepath.EvalSymlinks(path)
}

// HashPath returns the digest of a path, see [ResolvePath]: of its bytes, or of its
// NAR serialisation.
func HashPath(path string, kind attestation.DigestKind) (attestation.Digest, error) {
	path, err := ResolvePath(path)
	if err != nil {
		return attestation.Digest{}, fmt.Errorf("hashing: %w", err)
	}
	hash := sha256.New()
	switch kind {
	case attestation.NAR:
		w := bufio.NewWriterSize(hash, 256<<10)
		if err = nar.DumpPath(w, path); err == nil {
			err = w.Flush()
		}
	case attestation.File:
		err = hashFile(hash, path)
	default:
		err = fmt.Errorf("digests of kind %q are not known", kind)
	}
	if err != nil {
		return attestation.Digest{}, fmt.Errorf("hashing %s: %w", path, err)
	}
	return attestation.Digest(hash.Sum(nil)), nil
}

func hashFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return errors.Join(err, f.Close())
}
