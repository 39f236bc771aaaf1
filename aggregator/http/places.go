package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/fair"
	"repronet.dev/api"
	"repronet.dev/dashboard"
)

const (
	// readPlaces bounds the answers that are computed at a time. It is less than the
	// statements that the embedded engine runs at once, so that indexing never waits
	// for readers. An address has at most half of them.
	readPlaces        = 6
	readPlacesAddress = readPlaces / 2
	// readWaiting bounds the requests that wait for a place, for at most readPatience.
	readWaiting        = 256
	readWaitingAddress = readWaiting / 4
	readPatience       = 5 * time.Second
	// readTime bounds the computing of an answer, with the wait for a place.
	readTime = 30 * time.Second
	// unreadPlaces bounds the answers of more than largeAnswer bytes that are in memory
	// until their readers take them. An address has at most half of them.
	unreadPlaces = 64
	largeAnswer  = 64 << 10
)

// places bound what is done at a time, in all and for each address.
type places struct{ pool *fair.Pool }

// newPlaces has most places, of which an address gets each at most. Of the requests that
// wait for one, waiting are remembered, and waitingEach of an address.
func newPlaces(most, each int64, waiting, waitingEach int) places {
	return places{fair.NewPool(fair.Config{Capacity: most, Share: each, Waiting: waiting, WaitingShare: waitingEach})}
}

// errPatience says that a request has waited as long as it may.
var errPatience = errors.New("no place was left in time")

// try takes a place for a request from an address, if there is one now. Without an error,
// leave has to be called. The error is [fair.ErrShare] or [fair.ErrFull].
func (p places) try(from netip.Prefix) error {
	if p.pool.Try(from.String(), 0, 1) {
		return nil
	}
	return p.pool.Lacks(from.String(), 1)
}

// take is try that waits for a place, for at most the given time. The error may be why ctx
// ended.
func (p places) take(ctx context.Context, from netip.Prefix, patience time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	err := p.pool.Acquire(ctx, from.String(), 1, 1)
	if errors.Is(err, errPatience) {
		return p.pool.Lacks(from.String(), 1)
	}
	return err
}

// leave gives a place back: to the next who waits for one.
func (p places) leave(from netip.Prefix) { p.pool.Release(from.String(), 1) }

// takePlace lets requests wait whose answer costs much, and turns them away where too
// many do. The place is left as soon as the answer is known: at whose pace it is read
// then makes no difference to others.
func (s *Server) takePlace(c *gin.Context) {
	if s.costly[s.routeOf(c)] {
		s.inPlace(c, c.Next)
	}
}

// inPlace has a request answered when it has a place.
func (s *Server) inPlace(c *gin.Context, answer func()) {
	c.Writer.Header().Add("RateLimit-Policy", placesPolicy)
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTime)
	defer cancel()
	from := fair.AddressOf(c.Request.RemoteAddr)
	if err := s.reads.take(ctx, from, readPatience); err != nil {
		s.turnAway(c, err)
		return
	}
	w := &placed{ResponseWriter: c.Writer, server: s, from: from, leave: sync.OnceFunc(func() { s.reads.leave(from) })}
	defer w.leave()
	c.Writer, c.Request = w, c.Request.WithContext(ctx)
	answer()
}

// turnAway answers a request that has no place.
func (s *Server) turnAway(c *gin.Context, why error) {
	if forPrograms(c.Request.URL.Path) {
		programHeaders(c)
	} else if s.pages != nil {
		dashboard.SecurityHeaders(c)
	}
	c.Header("Retry-After", busyRetryAfter)
	c.Writer.Header().Add("RateLimit", `"places";r=0;t=`+busyRetryAfter)
	s.fail(c, busy(why))
	c.Abort()
}

// placesPolicy says how many answers that take a place an address gets at a time
// (draft-ietf-httpapi-ratelimit-headers).
var placesPolicy = fmt.Sprintf(`"places";q=%d;qu="concurrent-requests"`, readPlacesAddress)

// busyRetryAfter is in how many seconds a place may be free.
const busyRetryAfter = "5"

// busy says why there is no place.
func busy(why error) error {
	switch {
	case errors.Is(why, fair.ErrShare):
		return api.NewProblem(api.ProblemSlowDown, "Many questions that take long came from your address at once: ask fewer at a time.")
	case errors.Is(why, fair.ErrFull):
		return api.NewProblem(api.ProblemTryLater, "Many questions that take long were asked at once: ask again later.")
	}
	return why // the sender has left
}

// placed is the writer of a request that holds a place, which its first byte leaves. If
// the answer is large, it takes one of the places for answers that are being read.
type placed struct {
	gin.ResponseWriter
	server *Server
	from   netip.Prefix
	leave  func()
}

// Write implements [http.ResponseWriter].
func (w *placed) Write(data []byte) (int, error) {
	w.leave()
	if len(data) >= largeAnswer {
		if err := w.server.unread.try(w.from); err != nil {
			return w.refuse(len(data), err)
		}
		defer w.server.unread.leave(w.from)
	}
	return w.ResponseWriter.Write(data)
}

// refuse answers with a problem in the place of n bytes that are too many to be kept
// until they are read.
func (w *placed) refuse(n int, why error) (int, error) {
	if w.Written() {
		return 0, why
	}
	p := w.server.problem(busy(why))
	body, _ := json.Marshal(p) // strings and a number cannot fail
	header := w.Header()
	header.Del("ETag")
	header.Del("Content-Length")
	header.Set("Content-Type", problemType)
	header.Set("Cache-Control", "no-store")
	header.Set("Retry-After", busyRetryAfter)
	w.WriteHeader(p.Status)
	if _, err := w.ResponseWriter.Write(body); err != nil {
		return 0, err
	}
	return n, nil
}

// WriteString implements [io.StringWriter].
func (w *placed) WriteString(text string) (int, error) { return w.Write([]byte(text)) }

// Flush implements [http.Flusher].
func (w *placed) Flush() {
	w.leave()
	w.ResponseWriter.Flush()
}

// Unwrap is for [http.ResponseController].
func (w *placed) Unwrap() http.ResponseWriter { return w.ResponseWriter }
