package http

import (
	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// spared is the part of the connections, in quarters, that only those have who submit, who
// ask to be enrolled, and who read the ledger's files: what cannot be had elsewhere, or
// later.
const spared = 1

// keepsRoom marks a route that is answered as long as anything is.
func (r route) keepsRoom() route {
	r.first = true
	return r
}

// makeRoom turns requests away that can wait, while too many of them are answered.
func (s *Server) makeRoom(c *gin.Context) {
	if s.first[s.routeOf(c)] {
		return
	}
	if s.others.TryAcquire(1) {
		defer s.others.Release(1)
		c.Next()
		return
	}
	if forPrograms(c.Request.URL.Path) {
		programHeaders(c)
	} else {
		dashboard.SecurityHeaders(c)
	}
	c.Header("Retry-After", retryAfter[api.ProblemTryLater])
	c.Header("Connection", "close")
	s.fail(c, api.NewProblem(api.ProblemTryLater, "Too many requests at once: ask again in a moment."))
	c.Abort()
}
