package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// entry answers with the body of a ledger entry, byte for byte as it came.
func (s *Server) entry(c *gin.Context) {
	index, err := strconv.ParseUint(c.Param("index"), 10, 64)
	if err != nil {
		s.fail(c, api.NewProblem(api.ProblemInvalidParameter, "Parameter index: it is a ledger index, counted from 0."))
		return
	}
	if err := s.checkIndexed(c.Request.Context(), index); err != nil {
		s.fail(c, err)
		return
	}
	if unchanged(c, strconv.Quote(strconv.FormatUint(index, 10)), keepForever) {
		return
	}
	entry, err := s.parts.Entry(c.Request.Context(), index)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Last-Modified", entry.ReceivedAt.UTC().Format(http.TimeFormat))
	c.Header(api.KindHeader, string(entry.Kind))
	media := "application/json"
	if entry.Kind.IsStatement() {
		media = api.BundleType
	}
	c.Data(http.StatusOK, media, entry.Body)
}

// checkIndexed reports that the index does not have a ledger entry.
func (s *Server) checkIndexed(ctx context.Context, index uint64) error {
	watermark, err := s.parts.Source.Watermark(ctx)
	if err != nil {
		return err
	}
	if index >= watermark.Indexed {
		return api.NewProblem(api.ProblemNotFound, fmt.Sprintf("The index has no ledger entry %d yet; it ends before entry %d.", index, watermark.Indexed))
	}
	return nil
}

// roster publishes the fold of the ledger's enrolments, so anybody can compute it.
func (s *Server) roster(c *gin.Context) {
	document, err := s.parts.Roster(c.Request.Context())
	var text []byte
	if err == nil {
		text, err = json.Marshal(document, jsontext.WithIndent(" "))
	}
	if err != nil {
		s.config.Logger.ErrorContext(c.Request.Context(), "making the roster", "error", err)
		s.fail(c, api.NewProblem(api.ProblemTryLater, "The builder list cannot be made now: ask again later."))
		return
	}
	text = append(text, '\n')
	if !unchanged(c, etagOfBytes(text), askAgain) {
		c.Data(http.StatusOK, "application/json", text)
	}
}

// filter answers with the filter of a set's newest revision. To those who have it
// nothing is made.
func (s *Server) filter(c *gin.Context) {
	name := c.Param("name")
	found, err := s.parts.Filter(c.Request.Context(), name)
	var etag string
	var filter []byte
	if err == nil {
		etag = strconv.Quote(strconv.FormatUint(found.Index, 10))
		if !matches(c.GetHeader("If-None-Match"), etag) {
			filter, err = found.Bytes(c.Request.Context())
		}
	}
	if err = dashboard.Missing(err, noSet, name); err != nil {
		if _, theirs := errors.AsType[*api.Problem](err); !theirs {
			s.config.Logger.ErrorContext(c.Request.Context(), "making a set's filter", "error", err)
			err = api.NewProblem(api.ProblemTryLater, "The package set cannot be read now: ask again later.")
		}
		s.fail(c, err)
		return
	}
	if unchanged(c, etag, askAgain) {
		return
	}
	c.Header("Content-Type", bytesType)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(filter))
}
