package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/ledger"
)

// entry answers with the body of a ledger entry, byte for byte as it came.
func (s *Server) entry(c *gin.Context) {
	index, err := strconv.ParseUint(c.Param("index"), 10, 64)
	if err != nil {
		s.fail(c, api.NewProblem(api.ProblemInvalidParameter, "Parameter index: it is a ledger index, counted from 0."))
		return
	}
	entry, err := s.findEntry(c.Request.Context(), index)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", keepForever)
	c.Header("Last-Modified", entry.ReceivedAt.UTC().Format(http.TimeFormat))
	c.Header(api.KindHeader, string(entry.Kind))
	media := "application/json"
	if entry.Kind.IsStatement() {
		media = api.BundleType
	}
	c.Data(http.StatusOK, media, entry.Body)
}

func (s *Server) findEntry(ctx context.Context, index uint64) (*ledger.Entry, error) {
	watermark, err := s.parts.Source.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	if index >= watermark.Indexed {
		return nil, api.NewProblem(api.ProblemNotFound, fmt.Sprintf("The index has no ledger entry %d yet; it ends before entry %d.", index, watermark.Indexed))
	}
	return s.parts.Entry(ctx, index)
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
	c.Header("Cache-Control", askAgain)
	c.Data(http.StatusOK, "application/json", append(text, '\n'))
}

// filter answers with the filter of a set's newest revision. To those who have it
// nothing is made.
func (s *Server) filter(c *gin.Context) {
	name := c.Param("name")
	found, err := s.parts.Filter(c.Request.Context(), name)
	var etag string
	var known bool
	var filter []byte
	if err == nil {
		etag = strconv.Quote(strconv.FormatUint(found.Index, 10))
		if known = matches(c.GetHeader("If-None-Match"), etag); !known {
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
	c.Header("ETag", etag)
	c.Header("Cache-Control", askAgain)
	if known {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Header("Content-Type", bytesType)
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(filter))
}

// mapProof answers with what the newest map says of an output.
func (s *Server) mapProof(c *gin.Context) {
	ecosystem, name := c.Query("ecosystem"), c.Query("name")
	if err := errors.Join(attestation.ValidateEcosystem(ecosystem), attestation.ValidateOutput(ecosystem, name)); err != nil {
		s.fail(c, api.NewProblem(api.ProblemInvalidParameter, fmt.Sprintf("Parameters ecosystem and name: %v.", err)))
		return
	}
	answer, err := s.parts.MapProof(c.Request.Context(), attestation.NewOutputID(ecosystem, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.fail(c, api.NewProblem(api.ProblemNotFound, "The ledger commits to no map yet: read the ledger itself."))
	case err != nil:
		s.config.Logger.ErrorContext(c.Request.Context(), "proving by the map", "error", err)
		s.fail(c, api.NewProblem(api.ProblemTryLater, "The map cannot be read now: ask again later."))
	default:
		c.Header("Cache-Control", askAgain)
		writeJSON(c, http.StatusOK, answer)
	}
}
