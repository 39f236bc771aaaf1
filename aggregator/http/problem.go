package http

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// problems says which kind of problem an error is, and what its sender can do. The
// first row that fits is taken. An [api.Problem] is its own; any other error is a
// fault of the server, of which a sender is told nothing.
var problems = []struct {
	err    error
	kind   api.ProblemKind
	advice string // follows the error's text
	hides  string // is told in place of it
}{
	{err: reading.ErrUnknownIdentity, kind: api.ProblemNotEnrolled, advice: "ask who runs the aggregator to enrol the identity"},
	{err: signing.ErrUnknownBuilder, kind: api.ProblemNotEnrolled, advice: "ask for it with 'repronet-reporter enrol'"},
	{err: signing.ErrKeyNotValid, kind: api.ProblemKeyNotValid, advice: "sign with a key that is enrolled and valid"},
	{err: signing.ErrSignature, kind: api.ProblemBadSignature},
	{err: signing.ErrTooLarge, kind: api.ProblemTooLarge},
	{err: signing.ErrMalformed, kind: api.ProblemMalformed},
	{err: enrolment.ErrRequest, kind: api.ProblemMalformed},
	{err: enrolment.ErrConflict, kind: api.ProblemConflict},
	{err: dashboard.ErrNotFound, kind: api.ProblemNotFound, hides: "There is nothing under this name."},
	{err: ErrOtherSize, kind: api.ProblemOtherSize, hides: "The index covers another number of ledger entries now: begin again."},
	{err: context.Canceled, kind: api.ProblemTryLater, hides: "The answer took too long. Try again in a moment."},
	{err: context.DeadlineExceeded, kind: api.ProblemTryLater, hides: "The answer took too long. Try again in a moment."},
}

// ProblemOf turns an error into what its sender may know.
func ProblemOf(err error) *api.Problem {
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p
	}
	for _, row := range problems {
		if !errors.Is(err, row.err) {
			continue
		}
		detail := row.hides
		if detail == "" {
			detail = err.Error()
		}
		if row.advice != "" {
			detail += ": " + row.advice + "."
		}
		return api.NewProblem(row.kind, detail)
	}
	return errPanicked
}

// problem is [ProblemOf], counted.
func (s *Server) problem(err error) *api.Problem {
	p := ProblemOf(err)
	s.metrics.problems.WithLabelValues(string(p.Kind())).Inc()
	return p
}

// fail answers with what is wrong: a page where people read, a problem document
// elsewhere.
func (s *Server) fail(c *gin.Context, err error) {
	err = s.momentary(c.Request.Context(), err)
	if s.pages != nil && !forPrograms(c.Request.URL.Path) {
		s.pages.Fail(c, err)
		return
	}
	p := s.problem(err)
	header := c.Writer.Header()
	header.Del("ETag")
	if seconds, ok := retryAfter[p.Kind()]; ok && header.Get("Retry-After") == "" {
		c.Header("Retry-After", seconds)
	}
	if p.Status == http.StatusInternalServerError && !errors.Is(err, errPanicked) {
		s.config.Logger.ErrorContext(c.Request.Context(), "answering request", "route", s.routeOf(c), "error", err)
	}
	body, _ := json.Marshal(p) // strings and a number cannot fail
	c.Header("Cache-Control", "no-store")
	c.Data(p.Status, problemType, body)
}

// momentary puts in the place of an error of the moment what its sender can do.
func (s *Server) momentary(ctx context.Context, err error) error {
	if s.parts.Lacking != nil && ProblemOf(err).Status == http.StatusInternalServerError && s.parts.Lacking(ctx, err) {
		return api.NewProblem(api.ProblemTryLater, "The index cannot be read now. Try again in a moment.")
	}
	return err
}

const problemType = "application/problem+json"

// retryAfter says in seconds when it makes sense to ask again.
var retryAfter = map[api.ProblemKind]string{api.ProblemTryLater: "5", api.ProblemSlowDown: "60", api.ProblemOverBudget: "3600"}

// huma's answers to errors

// A failure is an error as huma's operations answer with it.
type failure struct{ api.Problem }

// GetStatus makes it a huma.StatusError.
func (f *failure) GetStatus() int { return f.Status }

func (f *failure) Error() string { return f.Problem.Error() }

// ContentType is what RFC 9457 registers.
func (*failure) ContentType(string) string { return problemType }

// explained makes huma's own errors say in a sentence what is wrong, and link to
// its explanation.
func (s *Server) explained(ctx huma.Context, _ string, body any) (any, error) {
	var f *failure
	switch p := body.(type) {
	case *huma.ErrorModel:
		f = &failure{*problemOfHuma(p)}
	case *failure:
		f = p
	default:
		return body, nil
	}
	s.metrics.problems.WithLabelValues(string(f.Kind())).Inc()
	ctx.SetHeader("ETag", "")
	ctx.SetHeader("Cache-Control", "no-store")
	if seconds, ok := retryAfter[f.Kind()]; ok {
		ctx.SetHeader("Retry-After", seconds)
	}
	return f, nil
}

// problemOfHuma explains what huma found wrong with a request.
func problemOfHuma(p *huma.ErrorModel) *api.Problem {
	if len(p.Errors) > 0 {
		details := make([]string, len(p.Errors))
		for i, e := range p.Errors {
			details[i] = e.Message
			if _, name, ok := strings.Cut(e.Location, "."); ok {
				details[i] = "Parameter " + name + ": " + e.Message
			}
		}
		return api.NewProblem(api.ProblemInvalidParameter, strings.Join(details, ". ")+".")
	}
	kinds := api.ProblemKinds()
	if i := slices.IndexFunc(kinds, func(k api.ProblemExplanation) bool { return k.Status == p.Status }); i >= 0 {
		return api.NewProblem(kinds[i].Kind, p.Detail)
	}
	return api.NewProblem(api.ProblemInvalidParameter, p.Detail)
}
