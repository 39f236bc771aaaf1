package submittest

import (
	"encoding/json"
	"errors"
	"net/http"

	"repronet/internal/wire"
	"repronet/signing"
)

func statusOf(err error) int {
	if errors.Is(err, signing.ErrMalformed) {
		return http.StatusBadRequest
	}
	return http.StatusForbidden
}

// Refuse answers with a problem document.
func Refuse(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(wire.NewProblem(status, kind, detail))
}

// Tear ends the connection without an answer.
func Tear(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
