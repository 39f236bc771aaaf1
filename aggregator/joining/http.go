package joining

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"

	"repronet/enrolment/request"
	"repronet/internal/wire"
	"repronet/signing"
)

// Register adds the endpoints to a router.
func (j *Joining) Register(router gin.IRouter) {
	router.POST(wire.EnrolmentsPath, j.handleAsk)
	router.GET(wire.EnrolmentsPath+"/:builder", j.handleState)
}

func (j *Joining) handleAsk(c *gin.Context) {
	if !j.isReady(c) {
		return
	}
	if !j.limits.allow(c.Request.RemoteAddr) {
		c.Header("Retry-After", "60")
		deny(c, wire.NewProblem(http.StatusTooManyRequests, "slow-down", "Too many requests to be enrolled come from your address, or from everywhere: ask again in a minute."))
		return
	}
	if media, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || media != "application/json" {
		deny(c, wire.NewProblem(http.StatusUnsupportedMediaType, "media-type", "Content-Type must be application/json."))
		return
	}
	document, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, request.MaxSize))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		deny(c, wire.NewProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("A request to be enrolled has at most %d bytes.", request.MaxSize)))
		return
	}
	if err != nil {
		deny(c, wire.NewProblem(http.StatusBadRequest, "malformed", "The request's body could not be read."))
		return
	}
	answer, problem := j.Ask(c.Request.Context(), document)
	switch {
	case problem != nil:
		deny(c, problem)
	case answer.State == wire.Refused:
		deny(c, wire.NewProblem(http.StatusForbidden, "refused", answer.Next))
	case answer.State == wire.Pending:
		c.JSON(http.StatusAccepted, answer)
	default:
		c.JSON(http.StatusOK, answer)
	}
}

func (j *Joining) handleState(c *gin.Context) {
	if !j.isReady(c) {
		return
	}
	id, err := signing.ParseBuilderID(c.Param("builder"))
	if err != nil {
		deny(c, wire.NewProblem(http.StatusNotFound, "not-found", err.Error()))
		return
	}
	answer, problem := j.State(c.Request.Context(), id)
	if problem != nil {
		deny(c, problem)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, answer)
}

func (j *Joining) isReady(c *gin.Context) bool {
	if !j.ready.Load() {
		deny(c, wire.NewProblem(http.StatusServiceUnavailable, "try-later", "The aggregator is starting: it reads its ledger first."))
		return false
	}
	return true
}

func deny(c *gin.Context, p *wire.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.Status, p)
}
