package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A Call is the name of something that an operator can ask for. Its types are what is
// asked and what is answered, as JSON.
type Call[Req, Resp any] string

// None is a request or an answer without content.
type None struct{}

// Streams are what goes beside a request and its answer. Both may be nil.
type Streams struct {
	Input    io.Reader // read by the function that does the call; see the call for its form
	Progress io.Writer // gets lines of text while the call is done
}

// A Caller takes a call to where it is done, and returns the JSON of its answer. Every
// error but that of an ended context or a broken connection is an [*Error].
type Caller interface {
	Call(ctx context.Context, name string, request json.RawMessage, streams Streams) (json.RawMessage, error)
}

// Do has the call done.
func (c Call[Req, Resp]) Do(ctx context.Context, to Caller, request Req) (Resp, error) {
	return c.DoWith(ctx, to, request, Streams{})
}

// DoWith has the call done, with streams.
func (c Call[Req, Resp]) DoWith(ctx context.Context, to Caller, request Req, streams Streams) (response Resp, err error) {
	text, err := json.Marshal(request)
	if err != nil {
		return response, fmt.Errorf("writing the request %s: %w", c, err)
	}
	answer, err := to.Call(ctx, string(c), text, streams)
	if err != nil {
		return response, err
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return response, fmt.Errorf("reading the answer to %s: %w", c, err)
	}
	return response, nil
}

// By says which function does the call.
func (c Call[Req, Resp]) By(do func(ctx context.Context, request Req) (Resp, error)) Done {
	return c.ByWith(func(ctx context.Context, request Req, _ Streams) (Resp, error) { return do(ctx, request) })
}

// ByWith says which function does the call, with the streams beside it. They are never nil.
func (c Call[Req, Resp]) ByWith(do func(ctx context.Context, request Req, streams Streams) (Resp, error)) Done {
	return Done{string(c), func(ctx context.Context, text json.RawMessage, streams Streams) (json.RawMessage, error) {
		var request Req
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			return nil, Errorf(Invalid, "the request %s cannot be read: are the server and this program of the same version? (%w)", c, err)
		}
		response, err := do(ctx, request, streams)
		if err != nil {
			return nil, err
		}
		return json.Marshal(response)
	}}
}

// Done is a call with the function that does it.
type Done struct {
	name string
	do   func(context.Context, json.RawMessage, Streams) (json.RawMessage, error)
}

// A Service does calls by the functions that it was made of.
type Service struct{ calls map[string]Done }

// NewService returns a service. Two functions for one call are a mistake of the program:
// the later one holds.
func NewService(calls ...Done) *Service {
	s := &Service{map[string]Done{}}
	for _, call := range calls {
		s.calls[call.name] = call
	}
	return s
}

// Call implements [Caller].
func (s *Service) Call(ctx context.Context, name string, request json.RawMessage, streams Streams) (json.RawMessage, error) {
	call, known := s.calls[name]
	if !known {
		return nil, Errorf(NotFound, "the server does not know the request %q: it runs an older version of this program; restart it", name)
	}
	if streams.Input == nil {
		streams.Input = strings.NewReader("")
	}
	if streams.Progress == nil {
		streams.Progress = io.Discard
	}
	answer, err := call.do(ctx, request, streams)
	if err != nil {
		return nil, asError(err)
	}
	return answer, nil
}
