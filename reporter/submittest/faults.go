package submittest

import (
	"encoding/json"
	"errors"
	"net/http"

	"repronet.dev/api"
	"repronet.dev/signing"
)

func kindOf(err error) api.ProblemKind {
	switch {
	case errors.Is(err, signing.ErrMalformed):
		return api.ProblemMalformed
	case errors.Is(err, signing.ErrUnknownBuilder):
		return api.ProblemNotEnrolled
	default:
		return api.ProblemRefused
	}
}

// Refuse answers with a problem document.
func Refuse(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&api.Problem{Type: api.ProblemsPath + "#" + kind, Title: http.StatusText(status), Status: status, Detail: detail})
}

// Tear ends the connection without an answer.
func Tear(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
