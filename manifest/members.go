package manifest

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"repronet.dev/attestation"
	"repronet.dev/manifest/stabilize"
)

// A Member is a file in an archive; without a name, what a compressed file unpacks to.
type Member struct {
	// Name is as the archive has it, written by [Quote]. What is in a member that is an archive
	// or compressed follows it: its names begin with the name of the member, and "!/".
	Name   string             `json:"name"`
	Size   int64              `json:"size,omitzero"` // in bytes
	SHA256 attestation.Digest `json:"sha256"`
	// Stable is as of an [Entry].
	Stable *stabilize.Stable `json:"stable,omitzero"`
}

// Limits of what is unpacked of one output. What is beyond them is listed as a file alone.
const (
	maxPacked   = 64 << 20 // bytes of one archive
	maxUnpacked = 1 << 30  // bytes of all together
	maxMembers  = 50_000   // of all together
	maxNesting  = 3        // archives and compressions in each other, such as of a .deb
	maxWindow   = 64 << 20 // bytes that a decoder may take: as much as xz -9 does
	maxKept     = 32 << 20 // bytes of a member that stabilizers look at
	magicSize   = 512      // bytes that tell a format
)

// An unpacker lists members of archives, as long as there is any of its limits left.
type unpacker struct {
	ctx     context.Context //nolint:containedctx // of one call
	bytes   int64           // that may still be unpacked
	members int             // that may still be listed
	buffer  []byte
	listed  []Member // of the file
}

func newUnpacker(ctx context.Context) *unpacker {
	return &unpacker{ctx: ctx, bytes: maxUnpacked, members: maxMembers, buffer: make([]byte, 64<<10)}
}

var errNoArchive = errors.New("it is no archive, or one that is too large")

// list lists the members of a file with a name: its format is "" where it is no archive that
// can be listed.
func (u *unpacker) list(f *os.File, name string, size int64) (l listing) {
	if size > maxPacked || u.bytes <= 0 || u.members <= 0 {
		return listing{}
	}
	u.listed = nil
	stream := interruptible{u.ctx, io.NewSectionReader(f, 0, size)}
	l, err := u.archive(bufio.NewReaderSize(stream, 64<<10), io.NewSectionReader(f, 0, size), &inside{base: name, depth: maxNesting})
	if err != nil || len(u.listed) == 0 { // it is none, is damaged, or too large
		return listing{}
	}
	l.members = u.listed
	return l
}

// A listing is what an archive or compressed file is.
type listing struct {
	format  string
	stable  *stabilize.Stable
	members []Member
}

// inside is a place in a file: what is there is an archive, or a member.
type inside struct {
	name  string // of the archive, before those of its members; "" of the file
	base  string // what the archive is called alone, without directories
	depth int    // how many more archives may be in each other
}

// member is the place of a member that has a name.
func (i *inside) member(name string) *inside {
	return &inside{insideOf(i.name, name), path.Base(name), i.depth - 1}
}

// unpacked is the place of what a compressed file unpacks to.
func (i *inside) unpacked() *inside {
	base := i.base
	for _, suffix := range []string{".gz", ".bz2", ".xz", ".zst"} {
		base = strings.TrimSuffix(base, suffix)
	}
	return &inside{i.name, base, i.depth - 1}
}

// archive lists what is in a stream that is an archive, or compressed; of any other it reads
// nothing, and returns errNoArchive. whole is the same, where it can be read at any place.
func (u *unpacker) archive(r *bufio.Reader, whole *io.SectionReader, at *inside) (l listing, err error) {
	head, err := r.Peek(magicSize)
	if at.depth <= 0 || err != nil && !errors.Is(err, io.EOF) {
		return listing{}, errNoArchive
	}
	if compression, open := compressionOf(head); open != nil {
		plain, err := open(r)
		if err != nil {
			return listing{}, err
		}
		if c, ok := plain.(interface{ Close() }); ok {
			defer c.Close()
		}
		unpacked := bufio.NewReaderSize(u.bounded(plain), 64<<10)
		l, err := u.archive(unpacked, nil, at.unpacked())
		if errors.Is(err, errNoArchive) { // one compressed file
			m, err := u.member(unpacked, &inside{insideOf(at.name, ""), at.unpacked().base, 0})
			return listing{format: compression, stable: stabilize.Compressed(m.SHA256, m.Stable)}, err
		}
		l.format += "+" + compression
		return l, err
	}
	counts := &stabilize.Listing{}
	switch {
	case isAr(head):
		l.format, err = "ar", u.ar(r, at, counts)
	case isTar(head):
		l.format, err = "tar", u.tar(r, at, counts)
	case whole != nil && isZip(head):
		l.format, err = "zip", u.zip(whole, at, counts)
	default:
		return listing{}, errNoArchive
	}
	l.stable = counts.Stable()
	return l, err
}

// mayBeArchive tells whether a file begins as one does that list lists.
func mayBeArchive(head []byte) bool {
	_, compressed := compressionOf(head)
	return compressed != nil || isAr(head) || isTar(head) || isZip(head)
}

func isAr(head []byte) bool  { return bytes.HasPrefix(head, []byte("!<arch>\n")) }
func isTar(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }
func isZip(head []byte) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// compressionOf tells by which compression a stream begins.
func compressionOf(head []byte) (name string, open func(io.Reader) (io.Reader, error)) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case bytes.HasPrefix(head, []byte("BZh")):
		return "bzip2", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return "xz", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, maxWindow) }
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd", func(r io.Reader) (io.Reader, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		}
	}
	return "", nil
}

// bounded counts what is unpacked.
func (u *unpacker) bounded(r io.Reader) io.Reader { return countdown{u, interruptible{u.ctx, r}} }

type countdown struct {
	u *unpacker
	r io.Reader
}

func (c countdown) Read(p []byte) (int, error) {
	if c.u.bytes <= 0 {
		return 0, fmt.Errorf("%w: more than %d bytes are unpacked", ErrTooLarge, int64(maxUnpacked))
	}
	n, err := c.r.Read(p)
	c.u.bytes -= int64(n)
	return n, err
}

// member lists a member, and behind it what is in it if that is an archive or compressed.
func (u *unpacker) member(r io.Reader, at *inside) (Member, error) {
	if u.members--; u.members < 0 || len(at.name) > MaxPath {
		return Member{}, fmt.Errorf("%w: it has too many members, or too long names", ErrTooLarge)
	}
	place := len(u.listed)
	m := Member{Name: at.name}
	u.listed = append(u.listed, m)
	sum, size, kept := sha256.New(), counter(0), &keeper{}
	all := io.TeeReader(r, io.MultiWriter(sum, &size, kept))
	in := bufio.NewReaderSize(all, magicSize)
	if head, err := in.Peek(stabilize.MagicSize); err != nil || !stabilize.May(at.base, head, 0) {
		kept.drop()
	}
	if l, err := u.archive(in, nil, at); err != nil {
		u.listed = u.listed[:place+1] // it has the magic number of an archive, and is none
	} else {
		m.Stable = l.stable
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{all}, u.buffer); err != nil {
		return Member{}, err
	}
	m.Size = int64(size)
	sum.Sum(m.SHA256[:0])
	if !kept.dropped {
		var err error
		if m.Stable, err = stabilize.Of(at.base, bytes.NewReader(kept.content), m.Size); err != nil {
			return Member{}, err
		}
	}
	u.listed[place] = m
	return m, nil
}

// A keeper keeps what is written to it, unless that is too much.
type keeper struct {
	content []byte
	dropped bool
}

func (k *keeper) Write(p []byte) (int, error) {
	if !k.dropped && len(k.content)+len(p) > maxKept {
		k.drop()
	}
	if !k.dropped {
		k.content = append(k.content, p...)
	}
	return len(p), nil
}

func (k *keeper) drop() { k.content, k.dropped = nil, true }

// A counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (u *unpacker) tar(r io.Reader, at *inside, counts *stabilize.Listing) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeGNUSparse || header.PAXRecords["GNU.sparse.major"] != "" || header.PAXRecords["GNU.sparse.map"] != "" {
			return fmt.Errorf("%w: a member with holes, which takes as many bytes as it says", ErrTooLarge)
		}
		var m Member
		if header.Typeflag == tar.TypeReg {
			if m, err = u.member(archive, at.member(header.Name)); err != nil {
				return err
			}
		}
		counts.Add(header.Name, header.Typeflag, uint32(header.Mode)&0o7777, tarTarget(header), m.SHA256, m.Stable)
	}
}

// tarTarget is where a member leads, the numbers of its device, and its extended attributes.
func tarTarget(h *tar.Header) string {
	var target strings.Builder
	target.WriteString(h.Linkname)
	if h.Devmajor != 0 || h.Devminor != 0 {
		fmt.Fprintf(&target, "\x00%d,%d", h.Devmajor, h.Devminor)
	}
	for _, name := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if strings.HasPrefix(name, "SCHILY.xattr.") {
			fmt.Fprintf(&target, "\x00%s=%s", name, h.PAXRecords[name])
		}
	}
	return target.String()
}

func (u *unpacker) zip(r *io.SectionReader, at *inside, counts *stabilize.Listing) error {
	archive, err := zip.NewReader(r, r.Size())
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		var m Member
		if !f.FileInfo().IsDir() {
			content, err := f.Open()
			if err != nil {
				return err
			}
			place := at.member(f.Name)
			place.depth = 0
			m, err = u.member(u.bounded(content), place)
			if err := errors.Join(err, content.Close()); err != nil {
				return err
			}
		}
		counts.Add(f.Name, f.Mode().Type().String()[0], uint32(f.Mode().Perm()), "", m.SHA256, m.Stable)
	}
	return nil
}

// arHeader is that of a member of an archive of ar(1), as ar.h has it; arSize is its length.
var arHeader = regexp.MustCompile(`^(.{16}).{12}.{6}.{6}(.{8})([0-9]{1,10}) *` + "`\n$")

const arSize = 60

func (u *unpacker) ar(r *bufio.Reader, at *inside, counts *stabilize.Listing) error {
	if _, err := r.Discard(len("!<arch>\n")); err != nil {
		return err
	}
	long := "" // names that are too long for a header, as GNU writes them
	for {
		var header [arSize]byte
		if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		fields := arHeader.FindSubmatch(header[:])
		if fields == nil {
			return errNoArchive
		}
		size, err := strconv.ParseInt(string(fields[3]), 10, 64)
		if err != nil {
			return errNoArchive
		}
		content := io.LimitReader(r, size)
		called := strings.TrimRight(string(fields[1]), " ")
		if called == "//" {
			names, err := io.ReadAll(io.LimitReader(content, 16<<20))
			if err != nil {
				return err
			}
			long = string(names)
		} else {
			name := arName(called, long)
			m, err := u.member(content, at.member(name))
			if err != nil {
				return err
			}
			if !isSymbols(name) {
				mode, _ := strconv.ParseUint(strings.TrimSpace(string(fields[2])), 8, 32) // 0 where there is none
				counts.Add(name, tar.TypeReg, uint32(mode)&0o7777, "", m.SHA256, m.Stable)
			}
		}
		if _, err := io.Copy(io.Discard, content); err != nil { // what a nested archive left
			return err
		}
		if size%2 == 1 {
			if _, err := r.Discard(1); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
	}
}

// arName is what a member is called.
func arName(called, long string) string {
	if at, err := strconv.Atoi(strings.TrimPrefix(called, "/")); err == nil && strings.HasPrefix(called, "/") && at >= 0 && at < len(long) {
		called, _, _ = strings.Cut(long[at:], "\n")
	}
	if isSymbols(called) {
		return called
	}
	return strings.TrimSuffix(called, "/")
}

// isSymbols tells the index of an archive's symbols, which follows from its members.
func isSymbols(name string) bool {
	return name == "/" || name == "/SYM64/" || strings.HasPrefix(name, "__.SYMDEF")
}

// insideOf is what a member of an archive is called.
func insideOf(archive, member string) string {
	if archive == "" {
		return Quote(member)
	}
	return archive + "!/" + Quote(member)
}

// validateMembers reports the first rule that an entry's members break.
func (e *Entry) validateMembers() error {
	if (e.Format == "") != (len(e.Members) == 0) || len(e.Members) > 0 && e.Type != File {
		return errors.New("archives have a format and members, and nothing else has")
	}
	if !formatPattern.MatchString(e.Format) {
		return fmt.Errorf("format %.40q is no format of archives", e.Format)
	}
	for i := range e.Members {
		m := &e.Members[i]
		if m.SHA256.IsZero() || m.Size < 0 {
			return fmt.Errorf("member %d has no sha256, or a negative size", i)
		}
		if err := errors.Join(checkText("name", m.Name), validateStable(m.Stable)); err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
	}
	return nil
}

func validateStable(s *stabilize.Stable) error {
	if s == nil {
		return nil
	}
	return s.Validate()
}

var formatPattern = regexp.MustCompile(`^[a-z0-9+]{0,40}$`)
