package http

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// The probes ask for different things: startup, that the ledger is read; readiness,
// that submissions are taken, with or without an index; liveness, that the process
// answers at all.

func (s *Server) startup(c *gin.Context) { s.probed(c, s.started(), "reading the ledger") }

func (s *Server) live(c *gin.Context) { s.probed(c, true, "") }

func (s *Server) ready(c *gin.Context) {
	if !s.started() || s.parts.Healthy == nil {
		s.probed(c, false, "not ready")
		return
	}
	if trouble := s.parts.Healthy(); trouble != nil {
		c.Header("Retry-After", retryAfter[api.ProblemTryLater])
		s.probed(c, false, trouble.Error())
		return
	}
	if why := said(s.parts.Indexed); why != nil {
		s.probedWith(c, http.StatusOK, fmt.Sprintf("ok, but pages are not answered: %v", why))
		return
	}
	if why := said(s.parts.Stopped); why != nil {
		s.probedWith(c, http.StatusOK, fmt.Sprintf("ok, but nothing more is indexed: %v", why))
		return
	}
	s.probed(c, true, "")
}

// said asks a part that may be left out.
func said(part func() error) error {
	if part == nil {
		return nil
	}
	return part()
}

// needIndex turns requests away that only the index can answer, while it does not.
func (s *Server) needIndex(c *gin.Context) {
	if !s.indexed[s.routeOf(c)] {
		return
	}
	why := said(s.parts.Indexed)
	if why == nil {
		return
	}
	if forPrograms(c.Request.URL.Path) {
		programHeaders(c)
	} else {
		dashboard.SecurityHeaders(c)
	}
	c.Header("Retry-After", retryAfter[api.ProblemTryLater])
	s.fail(c, api.NewProblem(api.ProblemTryLater,
		fmt.Sprintf("Not now: %v. The ledger takes submissions meanwhile, and its files are served.", why)))
	c.Abort()
}

func (s *Server) started() bool { return s.parts.Started != nil && s.parts.Started() }

func (s *Server) probed(c *gin.Context, ok bool, text string) {
	if ok {
		s.probedWith(c, http.StatusOK, "ok")
		return
	}
	s.probedWith(c, http.StatusServiceUnavailable, text)
}

func (s *Server) probedWith(c *gin.Context, status int, text string) {
	c.Header("Cache-Control", "no-store")
	c.String(status, "%s\n", text)
}
