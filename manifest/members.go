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
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"repronet.dev/attestation"
)

// A Member is a file in an archive; without a name, what a compressed file unpacks to.
type Member struct {
	// Name is as the archive has it, written by [Quote]. What is in a member that is an archive
	// or compressed follows it: its names begin with the name of the member, and "!/".
	Name   string             `json:"name"`
	Size   int64              `json:"size,omitzero"` // in bytes
	SHA256 attestation.Digest `json:"sha256"`
}

// Limits of what is unpacked of one output. What is beyond them is listed as a file alone.
const (
	maxPacked   = 64 << 20 // bytes of one archive
	maxUnpacked = 1 << 30  // bytes of all together
	maxMembers  = 50_000   // of all together
	maxNesting  = 3        // archives and compressions in each other, such as of a .deb
	maxWindow   = 64 << 20 // bytes that a decoder may take: as much as xz -9 does
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

// list returns the members of a file, and of which format it is; "" where it is no archive that
// can be listed.
func (u *unpacker) list(file string, size int64) (format string, members []Member) {
	if size > maxPacked || u.bytes <= 0 || u.members <= 0 {
		return "", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", nil
	}
	defer f.Close()
	u.listed = nil
	format, err = u.archive(bufio.NewReaderSize(interruptible{u.ctx, f}, 64<<10), io.NewSectionReader(f, 0, size), "", maxNesting)
	if err != nil || len(u.listed) == 0 { // it is none, is damaged, or too large
		return "", nil
	}
	return format, u.listed
}

// archive lists what is in a stream that is an archive, or compressed; of any other it reads
// nothing, and returns errNoArchive. whole is the same, where it can be read at any place.
func (u *unpacker) archive(r *bufio.Reader, whole *io.SectionReader, name string, depth int) (format string, err error) {
	head, err := r.Peek(magicSize)
	if depth == 0 || err != nil && !errors.Is(err, io.EOF) {
		return "", errNoArchive
	}
	if compression, open := compressionOf(head); open != nil {
		plain, err := open(r)
		if err != nil {
			return "", err
		}
		if c, ok := plain.(interface{ Close() }); ok {
			defer c.Close()
		}
		unpacked := bufio.NewReaderSize(u.bounded(plain), 64<<10)
		inside, err := u.archive(unpacked, nil, name, depth-1)
		if errors.Is(err, errNoArchive) { // one compressed file
			return compression, u.member(insideOf(name, ""), unpacked, 0)
		}
		return inside + "+" + compression, err
	}
	switch {
	case isAr(head):
		return "ar", u.ar(r, name, depth-1)
	case isTar(head):
		return "tar", u.tar(r, name, depth-1)
	case whole != nil && isZip(head):
		return "zip", u.zip(whole, name)
	}
	return "", errNoArchive
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
func (u *unpacker) member(name string, r io.Reader, depth int) error {
	if u.members--; u.members < 0 || len(name) > MaxPath {
		return fmt.Errorf("%w: it has too many members, or too long names", ErrTooLarge)
	}
	at := len(u.listed)
	u.listed = append(u.listed, Member{Name: name})
	sum, size := sha256.New(), counter(0)
	all := io.TeeReader(r, io.MultiWriter(sum, &size))
	if _, err := u.archive(bufio.NewReaderSize(all, magicSize), nil, name, depth); err != nil {
		u.listed = u.listed[:at+1] // it has the magic number of an archive, and is none
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{all}, u.buffer); err != nil {
		return err
	}
	u.listed[at].Size = int64(size)
	sum.Sum(u.listed[at].SHA256[:0])
	return nil
}

// A counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (u *unpacker) tar(r io.Reader, name string, depth int) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeReg {
			if err := u.member(insideOf(name, header.Name), archive, depth); err != nil {
				return err
			}
		}
	}
}

func (u *unpacker) zip(r *io.SectionReader, name string) error {
	archive, err := zip.NewReader(r, r.Size())
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		content, err := f.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(u.member(insideOf(name, f.Name), u.bounded(content), 0), content.Close()); err != nil {
			return err
		}
	}
	return nil
}

// arHeader is that of a member of an archive of ar(1), as ar.h has it; arSize is its length.
var arHeader = regexp.MustCompile(`^(.{16}).{12}.{6}.{6}.{8}([0-9]{1,10}) *` + "`\n$")

const arSize = 60

func (u *unpacker) ar(r *bufio.Reader, name string, depth int) error {
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
		size, err := strconv.ParseInt(string(fields[2]), 10, 64)
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
		} else if err := u.member(insideOf(name, arName(called, long)), content, depth); err != nil {
			return err
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
	if called == "/" || called == "/SYM64/" {
		return called // the index of symbols
	}
	return strings.TrimSuffix(called, "/")
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
		if err := checkText("name", m.Name); err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
	}
	return nil
}

var formatPattern = regexp.MustCompile(`^[a-z0-9+]{0,40}$`)
