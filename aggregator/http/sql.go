package http

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/fair"
	"repronet.dev/api"
	"repronet.dev/dashboard"
)

const (
	// sqlPlaces are the questions in SQL that are answered at a time; an address has half of
	// them. Others wait, for at most sqlPatience.
	sqlPlaces         = 2
	sqlWaiting        = 32
	sqlWaitingAddress = sqlWaiting / 8
	sqlPatience       = 20 * time.Second
	// pageBytes bounds the result that a page shows, in JSON.
	pageBytes = 8 << 20
)

// ofQueries are the bounds of a query in a body; the console has its own, smaller limit.
var ofQueries = bounds{64 << 10, "questions", "words"}

// SQL answers questions in SQL. Its errors are [api.Problem]s where they are the sender's.
type SQL interface {
	// Ask writes the result of a question, whole in memory of another process, to to.
	Ask(ctx context.Context, asked api.SQLQuestion, to io.Writer) (*api.SQLAnswer, error)
	// Next says what the next question is answered from.
	Next() (*api.SQLAnswer, error)
	// Limits says what a question may cost, as api.SQLLimitsHeader does.
	Limits() string
}

// errNoSQL is what a server without a console answers.
var errNoSQL = api.NewProblem(api.ProblemTryLater, "This server answers no questions in SQL: its operator has not set it up.")

// sql answers a question in SQL.
func (s *Server) sql(c *gin.Context) {
	asked, err := s.sqlQuestion(c)
	if err == nil && s.parts.SQL == nil {
		err = errNoSQL
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header(api.SQLLimitsHeader, s.parts.SQL.Limits())
	if s.knowsSQL(c, asked) {
		return
	}
	from := fair.AddressOf(c.Request.RemoteAddr)
	if err := s.exports.sending.try(from); err != nil {
		s.exportLater(c, busy(err))
		return
	}
	defer s.exports.sending.leave(from)
	file, err := newGrowing(s.exports.dir)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer file.close()
	answer, err := s.askSQL(c.Request.Context(), from.String(), asked, file)
	if err != nil {
		if problem := ProblemOf(err); problem.Kind() == api.ProblemSlowDown || problem.Kind() == api.ProblemTryLater {
			c.Header("Retry-After", busyRetryAfter)
		}
		s.fail(c, err)
		return
	}
	file.end(nil)
	s.sendSQL(c, asked, answer, file)
}

// sendSQL sends a result that is there, at the client's pace: nothing else waits for it.
func (s *Server) sendSQL(c *gin.Context, asked api.SQLQuestion, answer *api.SQLAnswer, file *growing) {
	c.Header("ETag", sqlETag(answer, asked))
	c.Header("Cache-Control", askAgain)
	c.Header("Content-Type", asked.Format.MediaType())
	c.Header("Content-Length", strconv.FormatInt(file.size, 10))
	c.Header(api.IndexedHeader, strconv.FormatUint(answer.Indexed, 10))
	c.Header(api.SnapshotHeader, answer.Snapshot)
	if asked.Format != api.SQLJSON && asked.Format != api.SQLLines {
		c.Header("Content-Disposition", "attachment; filename=result."+string(asked.Format))
	}
	c.Status(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		return
	}
	ctx := c.Request.Context()
	if err := send(ctx, c.Writer, file); err != nil {
		if ctx.Err() == nil {
			s.config.Logger.DebugContext(ctx, "sending a result", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// sqlQuestion reads a question from the URL, or from the body of a POST.
func (s *Server) sqlQuestion(c *gin.Context) (api.SQLQuestion, error) {
	for name := range c.Request.URL.Query() {
		if name != "q" && name != "format" {
			return api.SQLQuestion{}, invalid("Parameter %.100s: there is none of that name; there are q and format.", name)
		}
	}
	asked := api.SQLQuestion{SQL: c.Query("q"), Format: api.SQLFormat(c.Query("format"))}
	if asked.Format == "" {
		asked.Format = api.SQLFormats()[0]
	}
	if asked.Format.MediaType() == "" {
		return asked, invalid("Parameter format: there is no %.40q; there are %v.", asked.Format, api.SQLFormats())
	}
	if c.Request.Method == http.MethodPost && c.Request.ContentLength != 0 {
		text, held, err := s.readBody(c, s.networks.Of(c.Request.RemoteAddr), ofQueries)
		if err != nil {
			return asked, err
		}
		defer held.release()
		if asked.SQL != "" {
			return asked, invalid("Give the query in the URL or in the body, not in both.")
		}
		asked.SQL = string(text)
	}
	if asked.SQL == "" {
		return asked, invalid("Parameter q: write a query, SELECT …, over the views that /data lists.")
	}
	return asked, nil
}

// askSQL has a question answered when it is its sender's turn.
func (s *Server) askSQL(ctx context.Context, from string, asked api.SQLQuestion, to io.Writer) (*api.SQLAnswer, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, sqlPatience, errPatience)
	defer cancel()
	if err := s.questions.pool.Acquire(waiting, from, 1, 1); err != nil {
		if errors.Is(err, errPatience) {
			err = s.questions.pool.Lacks(from, 1)
		}
		return nil, busy(err)
	}
	defer s.questions.pool.Release(from, 1)
	return s.parts.SQL.Ask(ctx, asked, to)
}

// pageSQL answers a question for a page.
func (s *Server) pageSQL(r *http.Request, sql string, rows int) (*api.SQLResult, *api.SQLAnswer, error) {
	if s.parts.SQL == nil {
		return nil, nil, errNoSQL
	}
	var text bounded
	answer, err := s.askSQL(r.Context(), fair.AddressOf(r.RemoteAddr).String(), api.SQLQuestion{SQL: sql, Format: api.SQLJSON, Limit: rows}, &text)
	if err != nil {
		return nil, nil, err
	}
	var result api.SQLResult
	if err := json.Unmarshal(text.Bytes(), &result); err != nil {
		return nil, nil, fmt.Errorf("reading a result: %w", err)
	}
	return &result, answer, nil
}

// bounded is a buffer that a page can have.
type bounded struct{ bytes.Buffer }

// Write implements [io.Writer].
func (b *bounded) Write(data []byte) (int, error) {
	if b.Len()+len(data) > pageBytes {
		return 0, api.NewProblem(api.ProblemQueryTooCostly, "The result is too large for a page: add a LIMIT, or take it as a file.")
	}
	return b.Buffer.Write(data)
}

// knowsSQL answers 304 to a client that has the answer already, without asking.
func (s *Server) knowsSQL(c *gin.Context, asked api.SQLQuestion) bool {
	next, err := s.parts.SQL.Next()
	// An answer that fails has none of the headers.
	return err == nil && matches(c.GetHeader("If-None-Match"), sqlETag(next, asked)) && unchanged(c, sqlETag(next, asked), askAgain)
}

func sqlETag(answer *api.SQLAnswer, asked api.SQLQuestion) string {
	sum := sha256.Sum256(fmt.Append(nil, answer.Snapshot, " ", asked.Format, " ", asked.SQL))
	return fmt.Sprintf(`"%d-%x"`, answer.Indexed, sum[:9])
}

// dataPages are the parts of the dashboard's configuration that are about SQL.
func (s *Server) dataPages(config *dashboard.Config) {
	config.SQL, config.Snapshots = s.pageSQL, s.parts.Snapshots.List
	if s.parts.SQL != nil {
		config.SQLNext, config.SQLLimits = s.parts.SQL.Next, s.parts.SQL.Limits
	}
}
