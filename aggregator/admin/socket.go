package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"

	"repronet.dev/api"
)

// On the socket a call is POST /v1/NAME. The body is one line with the request as JSON,
// and then the input stream. The answer is lines of JSON too, each a [line]: progress
// while the call is done, and at the end its answer or the problem that ended it. A
// problem before any line of progress has the status of its kind.
const (
	callPath    = "/v1/"
	callType    = "application/x-ndjson"
	problemJSON = "application/problem+json"

	maxRequest = 1 << 20   // bytes of the line with the request
	maxInput   = 2 << 30   // bytes of a request's stream
	maxAnswer  = 1<<30 + 1 // bytes of a line of an answer: a package set can be large
)

// A line of an answer has one of its members.
type line struct {
	Progress string          `json:"progress,omitempty"`
	Answer   json.RawMessage `json:"answer,omitempty"`
	Problem  *api.Problem    `json:"problem,omitempty"`
}

// ErrNoServer is returned by [Dial] when no server listens on the socket.
var ErrNoServer = errors.New("no server is running")

// Dial returns the way to the server that listens on the socket.
func Dial(ctx context.Context, socket string) (Caller, error) {
	dialer := &net.Dialer{}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoServer
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%s can be opened only by the user that the server runs as: run this as that user", socket)
	}
	if err != nil {
		return nil, fmt.Errorf("reaching the server: %w", err)
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return &client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

type client struct{ http *http.Client }

// Call implements [Caller].
func (c *client) Call(ctx context.Context, name string, request json.RawMessage, streams Streams) (answer json.RawMessage, err error) {
	body := io.Reader(strings.NewReader(string(request) + "\n"))
	if streams.Input != nil {
		body = io.MultiReader(body, streams.Input)
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+callPath+name, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(post)
	if err != nil {
		return nil, broken(err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		var p api.Problem
		if err := json.NewDecoder(io.LimitReader(response.Body, maxRequest)).Decode(&p); err != nil {
			return nil, fmt.Errorf("the server answered with the status %s, which this program does not understand: are both of the same version?", response.Status)
		}
		return nil, ofProblem(&p)
	}
	return readAnswer(response.Body, streams.Progress)
}

// readAnswer reads lines until the one that ends an answer.
func readAnswer(body io.Reader, progress io.Writer) (json.RawMessage, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("reading the server's answer: %w", err)
		}
		switch {
		case l.Problem != nil:
			return nil, ofProblem(l.Problem)
		case l.Answer != nil:
			return l.Answer, nil
		case progress != nil:
			if _, err := io.WriteString(progress, l.Progress); err != nil {
				return nil, err
			}
		}
	}
	return nil, broken(lines.Err())
}

// closedIdle is what net/http says, without a value, of a connection that ended before the
// request was written to it.
const closedIdle = "http: server closed idle connection"

// broken says what a connection that ended early means, without the address that only
// this package knows.
func broken(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		err.Error() == closedIdle:
		return errors.New("the server stopped before it answered: what was asked for may be done or not; see what it says once it runs again")
	default:
		return fmt.Errorf("asking the server: %w", err)
	}
}

// Handler serves a service to [Dial], and to go tool pprof what a running server's time
// and memory go into. It is for a socket that only the operator can open.
func Handler(to Caller) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+callPath+"{name...}", func(w http.ResponseWriter, r *http.Request) { serveCall(w, r, to) })
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func serveCall(w http.ResponseWriter, r *http.Request, to Caller) {
	out := &lineWriter{w: w, controller: http.NewResponseController(w)}
	// An answer may begin while the request's stream is still read.
	if err := out.controller.EnableFullDuplex(); err != nil {
		out.problem(err)
		return
	}
	body := bufio.NewReaderSize(http.MaxBytesReader(w, r.Body, maxInput), 64<<10)
	request, err := readLine(body)
	if err != nil {
		out.problem(err)
		return
	}
	answer, err := to.Call(r.Context(), r.PathValue("name"), request, Streams{Input: body, Progress: out})
	if err != nil {
		out.problem(err)
		return
	}
	_ = out.send(line{Answer: answer}) // the operator may be gone
}

// readLine reads the line with the request.
func readLine(body *bufio.Reader) (json.RawMessage, error) {
	var text []byte
	for {
		part, err := body.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > maxRequest:
			return nil, Errorf(Invalid, "the request is longer than %d bytes", maxRequest)
		case err == nil:
			return text, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, Errorf(Invalid, "the request ends early: %w", err)
		}
	}
}

// A lineWriter writes the lines of an answer, each at once. What cannot be written is for
// an operator that is gone: what was done is done.
type lineWriter struct {
	w          http.ResponseWriter
	controller *http.ResponseController

	mu    sync.Mutex // guards what is below, and the order of lines
	begun bool
}

// Write sends progress.
func (l *lineWriter) Write(p []byte) (int, error) { return len(p), l.send(line{Progress: string(p)}) }

func (l *lineWriter) send(value line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", callType)
	}
	if err := json.NewEncoder(l.w).Encode(value); err != nil {
		return err
	}
	return l.controller.Flush()
}

func (l *lineWriter) problem(err error) {
	p := problem(err)
	l.mu.Lock()
	begun := l.begun
	l.mu.Unlock()
	if begun {
		_ = l.send(line{Problem: p})
		return
	}
	l.w.Header().Set("Content-Type", problemJSON)
	l.w.WriteHeader(p.Status)
	_ = json.NewEncoder(l.w).Encode(p)
}
