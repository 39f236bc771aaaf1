// Package stabilize says what of a file does not count when it is asked whether two builds
// that differ are equivalent: a build id, the time in a header, a signature.
//
// # Model
//
// A stabilizer has a name and a version, such as "build-id/v1". It looks at a file's name and
// contents, and returns the ranges of bytes that do not count. What a version says of a file
// never changes: a better one is a new version. The digest of a file after the stabilizers is
// the SHA-256 of what is left of it ([Of]); two files with equal ones are equivalent after the
// stabilizers that had something to say of either.
//
// That of archives, [Archive], is given what is in one, member by member, by package manifest,
// which lists it ([Listing]).
//
// # Trust
//
// Equivalent is not reproduced: no verdict and no rate depends on it, and a build id or a time
// can be used by a program. It says where to look, and where not to look.
package stabilize

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"repronet.dev/attestation"
)

// A Stable digest is that of what counts of a file.
type Stable struct {
	SHA256 attestation.Digest `json:"sha256"`
	// By are the names of the stabilizers that had something to say, in their order.
	By []string `json:"by"`
}

// maxBy bounds how many stabilizers one file can name.
const maxBy = 16

var namePattern = regexp.MustCompile(`^[a-z0-9-]{1,40}/v[0-9]{1,4}$`)

// Validate reports the first rule that a digest breaks. Stabilizers that are not known here
// are none.
func (s *Stable) Validate() error {
	if s.SHA256.IsZero() {
		return errors.New("a stable digest has no sha256")
	}
	if len(s.By) == 0 || len(s.By) > maxBy {
		return fmt.Errorf("a stable digest names %d stabilizers, want 1 to %d", len(s.By), maxBy)
	}
	for i, name := range s.By {
		if !namePattern.MatchString(name) {
			return fmt.Errorf("%.50q is no name of a stabilizer, such as %s", name, Archive)
		}
		if i > 0 && s.By[i-1] >= name {
			return fmt.Errorf("stabilizer %s does not follow %s in their order", name, s.By[i-1])
		}
	}
	return nil
}

// A Range is some bytes of a file: from Start, before End.
type Range struct{ Start, End int64 }

// A Stabilizer finds what does not count in a file.
type Stabilizer struct {
	Name string
	Says string // in a sentence, what does not count
	// cuts finds it in a file with a name, without directories, and size bytes. nil of Archive.
	cuts func(name string, r io.ReaderAt, size int64) []Range
}

// All are the stabilizers, by name.
func All() []Stabilizer {
	return append([]Stabilizer{{Name: Archive, Says: "The order, times and owners of what is in an archive, its compression, and the signatures in a jar."}}, ofFiles...)
}

// ofFiles are those that look at one file alone.
var ofFiles = []Stabilizer{
	{"build-id/v1", "The build ids that the linkers of GNU and Go write into ELF files.", buildIDs},
	{"jar-manifest/v1", "Who built a jar, when and with what, in its manifest.", jarManifest},
	{"module-signature/v1", "The signature at the end of a module of the Linux kernel.", moduleSignature},
	{"pe-time/v1", "The time and the checksum in the header of a Windows program.", peTime},
	{"png-time/v1", "The times in a PNG image.", pngTimes},
	{"pyc-time/v1", "The time of its source in compiled Python.", pycTime},
}

// Archive is the name of the stabilizer of archives and compressed files, which [Listing] and
// [Compressed] are.
const Archive = "archive/v1"

// MagicSize is how many bytes of a file's beginning [May] looks at.
const MagicSize = 8

// May tells by a file's name, size and first bytes whether some stabilizer might have something
// to say of it, so that the others need not be read again.
func May(name string, head []byte, size int64) bool {
	return isELF(head) || isPNG(head) || isMZ(head) || isPyc(name, head) || isManifest(name, size) || isModule(name)
}

// Of returns the digest of what counts of a file; nil if all does. The error is that of
// reading r.
func Of(name string, r io.ReaderAt, size int64) (*Stable, error) {
	s := &Stable{}
	var cuts []Range
	for _, stabilizer := range ofFiles {
		if found := stabilizer.cuts(name, r, size); len(found) > 0 {
			cuts = append(cuts, found...)
			s.By = append(s.By, stabilizer.Name)
		}
	}
	if len(cuts) == 0 {
		return nil, nil //nolint:nilnil // as documented
	}
	sum := sha256.New()
	buffer := make([]byte, 256<<10)
	copyRange := func(from, to int64) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{io.NewSectionReader(r, from, to-from)}, buffer)
		return err
	}
	var at int64
	for _, cut := range sorted(cuts) {
		if cut.Start > at {
			if err := copyRange(at, cut.Start); err != nil {
				return nil, err
			}
		}
		at = max(at, cut.End)
	}
	if err := copyRange(at, size); err != nil {
		return nil, err
	}
	sum.Sum(s.SHA256[:0])
	return s, nil
}

func sorted(cuts []Range) []Range {
	slices.SortFunc(cuts, func(a, b Range) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End)) })
	return cuts
}

// Together are the names in either list, in their order.
func Together(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// part returns some bytes of a file; nil if there are not so many.
func part(r io.ReaderAt, size, at, n int64) []byte {
	if at < 0 || n < 0 || at > size-n {
		return nil
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b
}
