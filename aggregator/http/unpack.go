package http

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/api"
)

// A body may unpack to freeRatio bytes, and maxRatio times its size more. Statements, which
// are digests and signatures for the most part, are compressed to a third.
const (
	freeRatio = 256 << 10
	maxRatio  = 100
	// maxWindow is the memory of a decoder of zstd, which does not count as the body's: as
	// many decoders work at a time as there are processors.
	maxWindow = 8 << 20
)

// encodings reports whether a Content-Encoding is one that is unpacked.
func encodings(name string) bool {
	return name == "" || name == "identity" || name == "gzip" || name == "zstd"
}

// unpack returns a body without its compression, when it is its party's turn. All that it may
// come to is reserved before anything is unpacked.
func (s *Server) unpack(ctx context.Context, encoding string, packed []byte, most int, held *reservation) ([]byte, error) {
	if encoding == "" || encoding == "identity" {
		return packed, held.wait(ctx, cap(packed))
	}
	limit := min(freeRatio+maxRatio*len(packed), most)
	if err := held.wait(ctx, limit+1); err != nil {
		return nil, err
	}
	place := &reservation{of: s.memory.unpacking, who: held.who}
	if err := place.wait(ctx, 1); err != nil {
		return nil, err
	}
	defer place.release()
	reader, err := decompress(encoding, bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // nothing is left to go wrong in a decompressor
	body, err := readAll(reader, limit, func(int) bool { return true }, func(int) {})
	if err == errTooLarge && limit < most { //nolint:errorlint // readAll's own, never wrapped
		err = errRatio
	}
	if err == nil && len(body) == 0 {
		err = errEmpty
	}
	if err != nil {
		return nil, err
	}
	held.shrink(cap(body))
	return body, nil
}

func decompress(encoding string, packed io.Reader) (io.ReadCloser, error) {
	if encoding == "gzip" {
		return gzip.NewReader(packed)
	}
	z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(api.MaxRequestSize), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}
