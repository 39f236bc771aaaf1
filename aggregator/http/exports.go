package http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/fair"
	"repronet.dev/api"
)

const (
	// maxExportsRead are read at a time, each the whole index, and maxExportsSent are
	// under way to clients. An address has half of both.
	maxExportsRead = 2
	maxExportsSent = 6
	// exportPatience bounds the wait until one can be read: an address's exports are
	// read one after the other.
	exportPatience = 20 * time.Second
	// exportStall bounds the sending of exportPiece bytes, in place of the bound of
	// other answers.
	exportStall = time.Minute
	exportPiece = 256 << 10
)

// exports are the places for exports. An export reads the whole index at the engine's
// own pace, into a temporary file, from which the client gets it at the client's: a
// slow client keeps nothing of the index.
type exports struct {
	dir     string // of the temporary files; "": the system's
	reading places // for the exports that are being read
	sending places // for those that are there
}

func newExports(dir string) exports {
	return exports{
		dir:     dir,
		reading: newPlaces(maxExportsRead, maxExportsRead/2, maxExportsSent, maxExportsSent/2),
		sending: newPlaces(maxExportsSent, maxExportsSent/2, 0, 0),
	}
}

func (s *Server) exportVerdicts(c *gin.Context) {
	export(s, c, func(ctx context.Context, e Export) iter.Seq2[api.ExportedVerdict, error] { return e.Verdicts(ctx) })
}

func (s *Server) exportChanges(c *gin.Context) {
	export(s, c, func(ctx context.Context, e Export) iter.Seq2[api.ExportedChange, error] { return e.Changes(ctx) })
}

// export sends lines. An answer that has begun and cannot be completed is broken off:
// half an export must not look like a whole one.
func export[T any](s *Server, c *gin.Context, lines func(context.Context, Export) iter.Seq2[T, error]) {
	size, err := exportSize(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	if size == nil && s.parts.Source != nil {
		if etag := s.indexedETag(c, ""); etag != "" && unchanged(c, etag, askAgain) {
			return
		}
	}
	from := fair.AddressOf(c.Request.RemoteAddr)
	if err := s.exports.sending.try(from); err != nil {
		s.exportLater(c, busy(err))
		return
	}
	defer s.exports.sending.leave(from)
	if err := s.exports.reading.take(c.Request.Context(), from, exportPatience); err != nil {
		s.exportLater(c, busy(err))
		return
	}
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	e, file, err := s.beginExport(ctx, size)
	if err != nil {
		s.exports.reading.leave(from)
	}
	switch {
	case errors.Is(err, ErrOtherSize):
		s.fail(c, err)
		return
	case err != nil:
		s.config.Logger.ErrorContext(ctx, "exporting", "error", err)
		s.exportLater(c, api.NewProblem(api.ProblemTryLater, "The index cannot be read now: ask again later."))
		return
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer s.exports.reading.leave(from)
		defer e.Close()
		_, err := guarded(s, c, func() (struct{}, error) { return struct{}{}, fill(file, lines(ctx, e)) })
		file.end(err)
	})
	defer file.close()
	defer reading.Wait()
	defer cancel() // who is gone needs no more of it
	c.Header("Content-Type", api.LinesType)
	c.Header(api.IndexedHeader, strconv.FormatUint(e.Size(), 10))
	c.Status(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		return
	}
	if err := send(ctx, c.Writer, file); err != nil {
		if ctx.Err() == nil {
			s.config.Logger.ErrorContext(ctx, "exporting", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) exportLater(c *gin.Context, why error) {
	c.Header("Retry-After", "30")
	s.fail(c, why)
}

func exportSize(c *gin.Context) (*uint64, error) {
	text := c.Query("size")
	if text == "" {
		return nil, nil //nolint:nilnil // none is asked for
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, api.NewProblem(api.ProblemInvalidParameter, "Parameter size: it is a number of ledger entries.")
	}
	return &n, nil
}

// beginExport begins to read the index, and makes the file that it goes to.
func (s *Server) beginExport(ctx context.Context, size *uint64) (Export, *growing, error) {
	file, err := newGrowing(s.exports.dir)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.parts.Exports.Export(ctx, size)
	if err != nil {
		file.close()
		return nil, nil, err
	}
	return e, file, nil
}

// fill writes an export at the pace of the index.
func fill[T any](to io.Writer, lines iter.Seq2[T, error]) error {
	buffered := bufio.NewWriterSize(to, exportPiece)
	for line, err := range lines {
		if err != nil {
			return err
		}
		if err := json.MarshalWrite(buffered, line); err != nil {
			return err
		}
		if err := buffered.WriteByte('\n'); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// send sends what is written to the file, and going to be, at the client's pace.
func send(ctx context.Context, w http.ResponseWriter, file *growing) error {
	deadline := http.NewResponseController(w)
	piece := make([]byte, exportPiece)
	for at := int64(0); ; {
		n, err := file.read(ctx, piece, at)
		at += int64(n)
		if n > 0 {
			if err := deadline.SetWriteDeadline(time.Now().Add(exportStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return err
			}
			if ctx.Err() != nil { // what ended it has set a deadline too, which was just undone
				return context.Cause(ctx)
			}
			if _, err := w.Write(piece[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
