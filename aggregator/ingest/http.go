package ingest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/zstd"

	"repronet/internal/wire"
)

// Register adds the submission endpoint to a router.
func (in *Ingest) Register(router gin.IRouter) { router.POST(wire.SubmitPath, in.handle) }

func (in *Ingest) handle(c *gin.Context) {
	if !in.ready.Load() {
		in.deny(c, in.problem(http.StatusServiceUnavailable, "try-later", "The aggregator is starting: it reads its ledger first."))
		return
	}
	media, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != wire.BundleType && media != wire.LinesType && media != "application/json" {
		in.deny(c, in.problem(http.StatusUnsupportedMediaType, "media-type",
			fmt.Sprintf("Content-Type must be %s (one bundle) or %s (one bundle a line).", wire.BundleType, wire.LinesType)))
		return
	}
	size := int64(wire.MaxRequestSize)
	if !in.inFlight.TryAcquire(size) {
		in.deny(c, in.problem(http.StatusServiceUnavailable, "try-later", "Too many submissions at once: send this one again later."))
		return
	}
	body, problem := in.read(c)
	// The reservation was for the greatest size; go on with what it is.
	in.inFlight.Release(size - int64(len(body)))
	defer in.inFlight.Release(int64(len(body)))
	if problem != nil {
		in.deny(c, problem)
		return
	}
	if media == wire.LinesType {
		in.answerLines(c, body)
		return
	}
	result := in.submitAll(c, [][]byte{body})[0]
	if result.Problem != nil {
		in.deny(c, result.Problem)
		return
	}
	c.JSON(http.StatusOK, result)
}

func (in *Ingest) answerLines(c *gin.Context, body []byte) {
	lines := bytes.Split(bytes.TrimRight(body, "\n"), []byte("\n"))
	if len(lines) > wire.MaxBundles {
		in.deny(c, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("%d bundles in one request, at most %d are accepted.", len(lines), wire.MaxBundles)))
		return
	}
	results := in.submitAll(c, lines)
	c.Header("Content-Type", wire.LinesType)
	c.Status(http.StatusOK)
	encoder := json.NewEncoder(c.Writer)
	encoder.SetEscapeHTML(false)
	for i := range results {
		if err := encoder.Encode(&results[i]); err != nil {
			return // the sender is gone; what is durable stays, and it will ask again
		}
	}
}

// submitAll handles the bundles of one request side by side, so that they share
// the ledger's batches, and answers each in its place.
func (in *Ingest) submitAll(c *gin.Context, bundles [][]byte) []wire.Result {
	ctx := c.Request.Context()
	results := make([]wire.Result, len(bundles))
	var group sync.WaitGroup
	for i, bundle := range bundles {
		group.Go(func() {
			index, duplicate, problem := in.Submit(ctx, bundle)
			if problem != nil {
				results[i].Problem = problem
				return
			}
			results[i].Duplicate = duplicate
			results[i].Receipt, results[i].Problem = in.receipt(ctx, index)
		})
	}
	group.Wait()
	return results
}

// read returns the request's body, decompressed, within the limits.
func (in *Ingest) read(c *gin.Context) ([]byte, *wire.Problem) {
	raw := http.MaxBytesReader(c.Writer, c.Request.Body, wire.MaxRequestSize)
	var reader io.Reader = raw
	switch encoding := c.GetHeader("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, in.problem(http.StatusBadRequest, "malformed", "The body is not gzip, as Content-Encoding says.")
		}
		reader = z
	case "zstd":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(wire.MaxRequestSize), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, in.problem(http.StatusBadRequest, "malformed", "The body is not zstd, as Content-Encoding says.")
		}
		defer z.Close()
		reader = z
	default:
		return nil, in.problem(http.StatusUnsupportedMediaType, "media-type", fmt.Sprintf("Content-Encoding %.40q is neither gzip nor zstd.", encoding))
	}
	body, err := io.ReadAll(io.LimitReader(reader, wire.MaxRequestSize+1))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge, len(body) > wire.MaxRequestSize, errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("The request is larger than %d bytes after decompression: send fewer bundles at once.", wire.MaxRequestSize))
	case err != nil:
		return nil, in.problem(http.StatusBadRequest, "malformed", fmt.Sprintf("Reading the body: %v.", err))
	case len(body) == 0:
		return nil, in.problem(http.StatusBadRequest, "malformed", "The body is empty.")
	}
	return body, nil
}

func (in *Ingest) deny(c *gin.Context, p *wire.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.Status, p)
}
