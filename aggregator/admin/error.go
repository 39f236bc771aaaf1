package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"repronet.dev/api"
	"repronet.dev/enrolment"
)

// A Kind of error is what a command may act on. It is an error itself, so that
// errors.Is(err, admin.Shrinks) tells whether one is of that kind.
type Kind string

// The kinds of errors.
const (
	Failed    Kind = "failed"    // it went wrong, and the text says what
	Invalid   Kind = "invalid"   // it was asked for in a wrong form
	NotFound  Kind = "not-found" // what it is about does not exist
	Ambiguous Kind = "ambiguous" // a name fits several things
	Conflict  Kind = "conflict"  // it contradicts an earlier entry of the ledger
	Exists    Kind = "exists"    // the revision is published already, with another content
	Shrinks   Kind = "shrinks"   // a package set would lose more than half of its outputs
)

func (k Kind) Error() string { return string(k) }

// statuses are what HTTP calls the kinds.
func (k Kind) status() int {
	switch k {
	case Invalid, Ambiguous:
		return http.StatusBadRequest
	case NotFound:
		return http.StatusNotFound
	case Conflict, Exists, Shrinks:
		return http.StatusConflict
	default:
		return http.StatusUnprocessableEntity
	}
}

// An Error is why a call was not done. Its text is for the operator: it says what was
// wrong, where, and what to do.
type Error struct {
	Kind Kind
	Text string
	err  error // what it wraps on this side of the socket
}

// Errorf returns an error of a kind.
func Errorf(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{kind, err.Error(), errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns what the error was made of; nil of one that came through a socket.
func (e *Error) Unwrap() error { return e.err }

// Is reports whether the error is of a kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// asError gives an error of the aggregator a kind. The end of a context stays what it is.
func asError(err error) error {
	if _, ok := errors.AsType[*Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind := Failed
	if errors.Is(err, enrolment.ErrConflict) {
		kind = Conflict
	}
	return &Error{kind, err.Error(), err}
}

// problemType begins the types of problem documents on the socket.
const problemType = "urn:repronet:admin:"

// problem writes an error as it crosses the socket.
func problem(err error) *api.Problem {
	kind := Failed
	if e, ok := errors.AsType[*Error](err); ok {
		kind = e.Kind
	}
	return &api.Problem{
		Type: problemType + string(kind), Title: http.StatusText(kind.status()), Status: kind.status(), Detail: err.Error(),
	}
}

// ofProblem reads what problem wrote.
func ofProblem(p *api.Problem) error {
	kind := Kind(strings.TrimPrefix(p.Type, problemType))
	if p.Detail == "" {
		return &Error{Failed, "the server answered without a reason: see its log", nil}
	}
	return &Error{kind, p.Detail, nil}
}
