package http

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/enrolment/request"
	"repronet.dev/signing"
)

// askEnrolment takes a request to be enrolled.
func (s *Server) askEnrolment(c *gin.Context) {
	document, err := s.readRequest(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	answer, err := s.parts.Joining.AskFrom(c.Request.Context(), c.Request.RemoteAddr, document)
	if err == nil && answer.State == api.Refused {
		err = api.NewProblem(api.ProblemRefused, answer.Next)
	}
	switch {
	case err != nil:
		s.fail(c, err)
	case answer.State == api.Pending:
		writeJSON(c, http.StatusAccepted, answer)
	default:
		writeJSON(c, http.StatusOK, answer)
	}
}

func (s *Server) readRequest(c *gin.Context) ([]byte, error) {
	if err := s.parts.Joining.CheckReady(); err != nil {
		return nil, err
	}
	left, err := s.parts.Joining.CheckRate(c.Request.RemoteAddr)
	limitHeaders(c, "enrolments", left)
	if err != nil {
		return nil, err
	}
	if _, err := checkMedia(c, "application/json", "application/json"); err != nil {
		return nil, err
	}
	document, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, request.MaxSize))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, api.NewProblem(api.ProblemTooLarge, fmt.Sprintf("A request to be enrolled has at most %d bytes.", request.MaxSize))
	}
	if err != nil {
		return nil, api.NewProblem(api.ProblemMalformed, "The request's body could not be read.")
	}
	return document, nil
}

// enrolment tells what became of a builder's request.
func (s *Server) enrolment(c *gin.Context) {
	id, err := signing.ParseBuilderID(c.Param("builder"))
	if err != nil {
		s.fail(c, api.NewProblem(api.ProblemInvalidParameter, fmt.Sprintf("Parameter builder: %v.", err)))
		return
	}
	answer, err := s.parts.Joining.State(c.Request.Context(), id)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	writeJSON(c, http.StatusOK, answer)
}
