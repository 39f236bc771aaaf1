package stabilize

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strconv"

	"repronet.dev/attestation"
)

// A Listing is what counts of an archive, as its members are read: of each its name, its type,
// its permissions, where it leads, and what counts of its contents.
type Listing struct {
	members []member
	by      []string
}

type member struct{ name, line string }

// Add adds a member: a name, a type of one character (docs/formats.md), its permissions, the target
// of a link or the numbers of a device ("" of others), the digest of its contents, and if not
// all of them count, that of what does.
func (l *Listing) Add(name string, kind byte, permissions uint32, target string, contents attestation.Digest, counts *Stable) {
	if isJarSignature(name) {
		return
	}
	if counts != nil {
		contents, l.by = counts.SHA256, Together(l.by, counts.By)
	}
	line := fmt.Sprintf("%c %04o %x %s %s\n", kind, permissions&0o7777, contents[:], strconv.QuoteToASCII(name), strconv.QuoteToASCII(target))
	l.members = append(l.members, member{name, line})
}

// Stable is the digest of what counts of the archive: the SHA-256 of the members' lines, sorted
// by name. Those of one name stay in the archive's order, where the last one counts.
func (l *Listing) Stable() *Stable {
	slices.SortStableFunc(l.members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	sum := sha256.New()
	for _, m := range l.members {
		_, _ = io.WriteString(sum, m.line) // a hash takes everything
	}
	s := &Stable{By: Together(l.by, []string{Archive})}
	sum.Sum(s.SHA256[:0])
	return s
}

// Compressed is the digest of what counts of a compressed file, by that of its contents.
func Compressed(contents attestation.Digest, counts *Stable) *Stable {
	if counts == nil {
		return &Stable{contents, []string{Archive}}
	}
	return &Stable{counts.SHA256, Together(counts.By, []string{Archive})}
}
