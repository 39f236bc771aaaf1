package http

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/api"
)

// metrics are the counters of the package. Labels are names of routes, statuses and
// kinds of problems, never words from outside.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	problems *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_http_requests_total", Help: "Requests, by the route's name and the status of the answer.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "repronet_http_request_seconds", Help: "Time until the whole answer was written, by the route's name.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60},
		}, []string{"route"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_http_answer_bytes_total", Help: "Bytes of answers' bodies, by the route's name.",
		}, []string{"route"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_problems_total", Help: "Problems that were answered with, by their kind: of requests, and of lines of submissions.",
		}, []string{"kind"}),
	}
	registry.MustRegister(m.requests, m.seconds, m.bytes, m.problems)
	return m
}

// unrouted is what requests that no route answers are called.
const unrouted = "none"

// aborted is the status of an answer that was broken off on purpose.
const aborted = 499

// observe logs and counts a request, and answers for a handler that panics.
func (s *Server) observe(c *gin.Context) {
	began := time.Now()
	defer func() {
		reason := recover()
		status := 0
		switch err, isErr := reason.(error); {
		case reason == nil:
		case isErr && errors.Is(err, http.ErrAbortHandler):
			status = aborted
		default:
			s.panicked(c, reason)
			reason = nil
		}
		if status == 0 {
			status = c.Writer.Status()
		}
		s.note(c, status, time.Since(began))
		if reason != nil {
			panic(reason) // net/http breaks the connection
		}
	}()
	c.Next()
}

// panicked logs a panic with its stack, and answers if nothing has been yet.
func (s *Server) panicked(c *gin.Context, reason any) {
	s.logPanic(c, reason)
	c.Abort()
	if !c.Writer.Written() {
		s.fail(c, errPanicked)
	}
}

func (s *Server) logPanic(c *gin.Context, reason any) {
	s.config.Logger.ErrorContext(c.Request.Context(), "a handler panicked", "route", s.routeOf(c), "reason", fmt.Sprint(reason), "stack", string(debug.Stack()))
}

// errPanicked was logged already.
var errPanicked = api.NewProblem(api.ProblemInternal, "This is a fault of the server, not yours. Its operator finds the reason in the log.")

func (s *Server) routeOf(c *gin.Context) string {
	if name, ok := s.names[c.Request.Method+" "+c.FullPath()+s.suffixOf(c)]; ok {
		return name
	}
	return unrouted
}

func (s *Server) note(c *gin.Context, status int, took time.Duration) {
	name, size := s.routeOf(c), max(0, c.Writer.Size())
	s.metrics.requests.WithLabelValues(name, strconv.Itoa(status)).Inc()
	s.metrics.seconds.WithLabelValues(name).Observe(took.Seconds())
	s.metrics.bytes.WithLabelValues(name).Add(float64(size))
	level := slog.LevelInfo
	if strings.HasPrefix(c.Request.URL.Path, "/healthz/") || c.Request.URL.Path == "/metrics" {
		level = slog.LevelDebug // they come all the time
	}
	s.config.Logger.LogAttrs(c.Request.Context(), level, "request", slog.String("route", name), slog.String("method", known(c.Request.Method)),
		slog.Int("status", status), slog.Int("bytes", size), slog.Duration("duration", took))
}

// known is a method, if it is one that is in use.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}
