package aggregator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// shutdownPatience is how long a stopping server waits for those outside: for requests
// that are still arriving, and for answers that are still being read. Both can be made
// to take for ever by one stranger.
const shutdownPatience = 3 * time.Second

// impatient has the requests of a handler end soon after ctx does, as far as it is
// another who is slow: one that has not arrived is not waited for, and an answer to a
// GET is broken off. What was submitted is worked on and answered.
func impatient(ctx context.Context, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:contextcheck // a request has its own context
		within, cancel := context.WithCancel(r.Context())
		defer cancel()
		body := &watchedBody{ReadCloser: r.Body}
		r = r.WithContext(within) //nolint:contextcheck // likewise
		r.Body = body
		connection := http.NewResponseController(w)
		stop := context.AfterFunc(ctx, func() {
			timer := time.NewTimer(shutdownPatience)
			defer timer.Stop()
			select {
			case <-within.Done():
				return
			case <-timer.C:
			}
			var err error
			if !body.arrived.Load() {
				err = connection.SetReadDeadline(time.Now())
			}
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				cancel()
				err = errors.Join(err, connection.SetWriteDeadline(time.Now()))
			}
			if err != nil {
				cancel() // a connection without deadlines
			}
		})
		defer stop()
		handler.ServeHTTP(w, r)
	})
}

// A watchedBody knows whether all of it was read.
type watchedBody struct {
	io.ReadCloser
	arrived atomic.Bool
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.arrived.Store(true)
	}
	return n, err
}
