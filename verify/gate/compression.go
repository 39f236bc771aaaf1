package gate

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"
	"github.com/ulikunitz/xz/lzma"
)

// maxDictionary bounds what a compressed NAR can make the gate allocate: as much
// as xz -9 and zstd -19 use, in bytes.
const maxDictionary = 64 << 20

// A compression is one that Nix unpacks. Its streams may follow one another, as
// parallel compressors write them.
type compression struct {
	extension string // of files, as Nix writes it
	open      func(io.Reader) (io.Reader, error)
}

// compressions are those that Nix knows, by their names in the field Compression
// (libutil/compression.cc; those beside "none" and "br" are libarchive's).
var compressions = map[string]compression{
	"none":  {"", func(r io.Reader) (io.Reader, error) { return r, nil }},
	"xz":    {".xz", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, maxDictionary) }},
	"bzip2": {".bz2", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	"gzip":  {".gz", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	"zstd":  {".zst", openZstd},
	"br":    {".br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
	"lz4":   {".lz4", func(r io.Reader) (io.Reader, error) { return &frames{from: bufio.NewReader(r)}, nil }},
	"lzma":  {".lzma", openLzma},
	"lzip":  {".lz", func(r io.Reader) (io.Reader, error) { return &lzip{from: bufio.NewReader(r)}, nil }},
}

// encodings are the names of HTTP's Content-Encoding for compressions; those that
// Nix knows under their own names count too.
var encodings = map[string]string{"": "none", "identity": "none", "x-gzip": "gzip"}

// decompress returns what unpacks r, and a function that frees what that holds.
func decompress(name string, r io.Reader) (io.Reader, func(), error) {
	c, known := compressions[name]
	if !known {
		return nil, nil, fmt.Errorf("compression %.40q is not known to this gate", name)
	}
	plain, err := c.open(r)
	if err != nil {
		return nil, nil, err
	}
	if d, ok := plain.(*zstd.Decoder); ok {
		return plain, d.Close, nil
	}
	return plain, func() {}, nil
}

// encoded reports whether a Content-Encoding changes the bytes.
func encoded(encoding string) bool { return encoding != "" && encoding != "identity" }

// decode undoes a Content-Encoding.
func decode(encoding string, r io.Reader) (io.Reader, func(), error) {
	if name, ok := encodings[encoding]; ok {
		encoding = name
	}
	plain, done, err := decompress(encoding, r)
	if err != nil {
		return nil, nil, fmt.Errorf("Content-Encoding: %w", err)
	}
	return plain, done, nil
}

func openZstd(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderLowmem(true))
}

// frames reads LZ4 frames, one after the other.
type frames struct {
	from  *bufio.Reader
	frame *lz4.Reader
}

func (f *frames) Read(p []byte) (int, error) {
	for {
		if f.frame == nil {
			if _, err := f.from.Peek(1); err != nil {
				return 0, err
			}
			f.frame = lz4.NewReader(f.from)
		}
		n, err := f.frame.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		f.frame = nil
		if n > 0 {
			return n, nil
		}
	}
}

// unlzma bounds the dictionary of LZMA streams.
var unlzma = lzma.ReaderConfig{DictCap: maxDictionary}

// openLzma reads the format of the LZMA SDK's lzma_alone.
func openLzma(r io.Reader) (io.Reader, error) { return unlzma.NewReader(r) }

// lzip reads the members of a file in the lzip format (draft-diaz-lzip): "LZIP",
// version 1, the coded size of the dictionary, an LZMA stream with an end mark, and
// a trailer of 20 bytes. The trailer is passed over: the NAR's hash decides.
type lzip struct {
	from   *bufio.Reader
	stream *lzma.Reader
}

const (
	lzipHeader  = 6
	lzipTrailer = 20
	// lzipProperties are lc=3, lp=0, pb=2, as in every lzip file.
	lzipProperties = 3 + 9*5*2
)

func (l *lzip) Read(p []byte) (int, error) {
	for {
		if l.stream == nil {
			if err := l.open(); err != nil {
				return 0, err
			}
		}
		n, err := l.stream.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		l.stream = nil
		if _, err := l.from.Discard(lzipTrailer); err != nil {
			return n, io.ErrUnexpectedEOF
		}
		if n > 0 {
			return n, nil
		}
	}
}

// open begins a member.
func (l *lzip) open() error {
	header, err := l.from.Peek(lzipHeader)
	switch {
	case len(header) == 0 && errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return io.ErrUnexpectedEOF
	case !slices.Equal(header[:5], []byte("LZIP\x01")):
		return errors.New("not a member of an lzip file")
	}
	// As lzma_alone has it: properties, size of the dictionary, length, stream.
	size := uint32(1) << (header[5] & 0x1f)
	size -= size / 16 * uint32(header[5]>>5)
	if _, err := l.from.Discard(lzipHeader); err != nil {
		return err
	}
	alone := make([]byte, lzma.HeaderLen, lzma.HeaderLen+1)
	alone[0] = lzipProperties
	binary.LittleEndian.PutUint32(alone[1:], size)
	binary.LittleEndian.PutUint64(alone[5:], ^uint64(0)) // the end mark says where it ends
	l.stream, err = unlzma.NewReader(&prefixed{alone, l.from})
	return err
}

// prefixed reads bytes, and then from the reader, from which it never takes more
// than it gives.
type prefixed struct {
	prefix []byte
	from   *bufio.Reader
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) == 0 {
		return p.from.Read(b)
	}
	n := copy(b, p.prefix)
	p.prefix = p.prefix[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (p *prefixed) ReadByte() (byte, error) {
	if len(p.prefix) == 0 {
		return p.from.ReadByte()
	}
	b := p.prefix[0]
	p.prefix = p.prefix[1:]
	return b, nil
}
