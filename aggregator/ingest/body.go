package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"

	"repronet/internal/wire"
)

// reservation is the part of Config.MaxInFlight that one request holds.
type reservation struct {
	of   *semaphore.Weighted
	size int64
}

func (r *reservation) grow(n int) bool {
	ok := r.of.TryAcquire(int64(n))
	if ok {
		r.size += int64(n)
	}
	return ok
}

func (r *reservation) release() { r.of.Release(r.size) }

var (
	errBusy     = errors.New("too many requests at once")
	errTooLarge = errors.New("too large")
	errEncoding = errors.New("unknown content encoding")
)

// read returns the request's body, decompressed, within the limits.
func (in *Ingest) read(c *gin.Context, reserved *reservation) ([]byte, *wire.Problem) {
	encoding := c.GetHeader("Content-Encoding")
	reader, err := decompress(encoding, http.MaxBytesReader(c.Writer, c.Request.Body, wire.MaxRequestSize))
	var body []byte
	if err == nil {
		body, err = readAll(reader, reserved)
		_ = reader.Close() // nothing is left to go wrong in a decompressor
	}
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, errEncoding):
		return nil, in.problem(http.StatusUnsupportedMediaType, "media-type", fmt.Sprintf("Content-Encoding %.40q is neither gzip nor zstd.", encoding))
	case errors.Is(err, errBusy):
		return nil, in.problem(http.StatusServiceUnavailable, "try-later", "Too many submissions at once: send this one again later.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, in.problem(http.StatusRequestTimeout, "too-slow", "The request did not arrive in time: send fewer bundles at once.")
	case tooLarge, errors.Is(err, errTooLarge), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("The request is larger than %d bytes after decompression: send fewer bundles at once.", wire.MaxRequestSize))
	case err != nil && encoding != "":
		return nil, in.problem(http.StatusBadRequest, "malformed", fmt.Sprintf("The body cannot be read as %s: %v.", encoding, err))
	case err != nil:
		return nil, in.problem(http.StatusBadRequest, "malformed", fmt.Sprintf("The body cannot be read: %v.", err))
	case len(body) == 0:
		return nil, in.problem(http.StatusBadRequest, "malformed", "The body is empty.")
	}
	return body, nil
}

func decompress(encoding string, raw io.ReadCloser) (io.ReadCloser, error) {
	switch encoding {
	case "", "identity":
		return raw, nil
	case "gzip":
		return gzip.NewReader(raw)
	case "zstd":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(wire.MaxRequestSize), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return nil, errEncoding
	}
}

// readAll reads up to wire.MaxRequestSize bytes. It reserves memory as the bytes
// come in, so that a slow sender holds little.
func readAll(reader io.Reader, reserved *reservation) ([]byte, error) {
	const first = 64 << 10
	var body []byte
	for {
		if len(body) == cap(body) {
			if len(body) > wire.MaxRequestSize {
				return nil, errTooLarge
			}
			size := min(max(first, 2*cap(body)), wire.MaxRequestSize+1)
			if !reserved.grow(size - cap(body)) {
				return nil, errBusy
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := reader.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
