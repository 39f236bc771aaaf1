package chdb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Options returns what clickhouse.Open needs to use this engine with the given database as the
// current one. The caller may change settings in it.
func (e *Engine) Options(database string) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol:     clickhouse.HTTP,
		Addr:         []string{"embedded"},
		Auth:         clickhouse.Auth{Database: database},
		MaxOpenConns: e.limit,
		MaxIdleConns: e.limit,
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) {
			return e.Transport(), nil
		},
	}
}

// Transport returns the engine as the server behind an HTTP client, whatever the client's URL.
func (e *Engine) Transport() http.RoundTripper { return transport{e} }

// Handler returns the engine as an HTTP handler. It serves tests of what talks to a ClickHouse
// server; it asks for no password and must not be reachable from elsewhere.
func (e *Engine) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := e.Transport().RoundTrip(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer response.Body.Close()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		if _, err := io.Copy(w, response.Body); err != nil {
			// Cutting the connection is the only way left to tell the client.
			panic(http.ErrAbortHandler)
		}
	})
}

type transport struct{ *Engine }

// RoundTrip runs the request's statement. It returns when the statement has delivered its first
// rows, has ended or has failed, so that a failure before the first row has a status of its own.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	st, err := readStatement(r)
	var failure *exception
	switch {
	case errors.As(err, &failure):
		return response(r, http.StatusBadRequest, failure), nil
	case err != nil:
		return response(r, http.StatusBadRequest, newException(err.Error())), nil
	}
	result, err := t.start(r.Context(), st)
	if err == nil {
		err = result.first()
	}
	switch {
	case errors.As(err, &failure):
		return response(r, http.StatusInternalServerError, failure), nil
	case err != nil:
		return nil, err
	}
	answer := response(r, http.StatusOK, nil)
	if len(result.rest) > 0 {
		answer.Body, answer.ContentLength = result, -1
	}
	return answer, nil
}

// response makes an answer without data: an empty one, or one that tells of a failure.
func response(r *http.Request, status int, failure *exception) *http.Response {
	header := http.Header{"X-Clickhouse-Format": {nativeFormat}}
	body := io.ReadCloser(http.NoBody)
	length := int64(0)
	if failure != nil {
		header = http.Header{
			"Content-Type":                {"text/plain; charset=UTF-8"},
			"X-Clickhouse-Exception-Code": {strconv.Itoa(failure.code)},
		}
		body, length = io.NopCloser(bytes.NewReader([]byte(failure.message))), int64(len(failure.message))
	}
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: body, ContentLength: length, Request: r,
	}
}

// result is a statement's result on its way from the engine to one reader: an answer's body.
type result struct {
	ctx    context.Context // of the request; ended by Close
	cancel context.CancelFunc
	chunks chan []byte // closed when the statement has ended
	err    error       // how it ended; to be read after chunks is closed
	rest   []byte      // of the chunk that is being read
}

// start runs the statement in a goroutine that ends with it. The statement's session is released
// by then.
func (e *Engine) start(ctx context.Context, st statement) (*result, error) {
	s, err := e.acquire(ctx, st.scope)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &result{ctx: ctx, cancel: cancel, chunks: make(chan []byte)}
	go func() {
		defer close(r.chunks)
		ended, killed := make(chan struct{}), make(chan struct{})
		stopKilling := func() bool { return true }
		if st.body == nil {
			stopKilling = context.AfterFunc(ctx, func() {
				defer close(killed)
				e.killUntil(ended, s)
			})
		}
		changed, err := s.run(st, e.hello, func(chunk []byte) error {
			select {
			case r.chunks <- chunk:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			case <-e.closing:
				return ErrClosed
			}
		})
		close(ended)
		if !stopKilling() {
			<-killed // or it would hit the session's next statement
			err = ctx.Err()
		}
		e.release(s, changed)
		r.err = err
	}()
	return r, nil
}

// run executes the statement and hands what it returns to emit, piece by piece. It reports
// whether the statement may have changed the session.
func (s *session) run(st statement, hello []byte, emit func([]byte) error) (changed bool, err error) {
	if st.sql == helloQuery {
		return false, emit(hello)
	}
	if st.body != nil {
		return false, s.insert(st.sql, st.format, st.body)
	}
	statements, class := s.classify(st.sql)
	if statements > 1 {
		return false, errSeveral
	}
	changed = class >= classControl
	if class != classReadOnly || !streamable(st.sql) {
		data, err := s.query(st.sql, nativeFormat, st.params)
		if err != nil || len(data) == 0 {
			return changed, err
		}
		return changed, emit(data)
	}
	next, stop, err := s.stream(st.sql, nativeFormat, st.params)
	if err != nil {
		return changed, err
	}
	defer stop()
	for {
		data, err := next()
		if err != nil || len(data) == 0 {
			return changed, err
		}
		if err := emit(data); err != nil {
			return changed, err
		}
	}
}

// first waits for the result's first rows, for its end without any, or for its failure.
func (r *result) first() error {
	err := r.fill()
	if errors.Is(err, io.EOF) {
		r.cancel()
		return nil
	}
	if err != nil {
		r.cancel()
	}
	return err
}

// fill gets the next chunk. At the end it returns io.EOF or what the statement failed with.
func (r *result) fill() error {
	select {
	case chunk, ok := <-r.chunks:
		if ok {
			r.rest = chunk
			return nil
		}
		if r.err != nil {
			return r.err
		}
		return io.EOF
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// Read implements io.Reader. A failure of the statement is part of what is read, as a server
// would write it.
func (r *result) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		err := r.fill()
		var failure *exception
		switch {
		case errors.As(err, &failure):
			r.rest, r.err = failure.framed(), nil
		case err != nil:
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the statement if it is still running, without waiting for it.
func (r *result) Close() error {
	r.cancel()
	return nil
}
