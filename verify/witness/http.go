package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// maxRequest bounds a request: a checkpoint with the signatures that it may have,
// and a proof.
const maxRequest = 64 << 10

// maxProof is how many hashes a proof can have (C2SP tlog-witness).
const maxProof = 63

// request is the body of POST /add-checkpoint.
type request struct {
	old        uint64
	proof      []tlog.Hash
	checkpoint []byte
}

// parseRequest reads "old N", the lines of a proof, an empty line, a checkpoint.
func parseRequest(body []byte) (*request, error) {
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, isOld := strings.CutPrefix(lines[0], "old ")
	if !found || !isOld {
		return nil, fmt.Errorf("%w: want a line of the old size, those of a proof, an empty line and a checkpoint", errMalformed)
	}
	old, err := strconv.ParseUint(size, 10, 64)
	if err != nil || old > math.MaxInt64/2 || strconv.FormatUint(old, 10) != size {
		return nil, fmt.Errorf("%w: %.40q is no size", errMalformed, size)
	}
	r := &request{old: old, checkpoint: checkpoint}
	if len(lines)-1 > maxProof {
		return nil, fmt.Errorf("%w: a proof has %d hashes at most", errMalformed, maxProof)
	}
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return nil, fmt.Errorf("%w: %.60q is no hash", errMalformed, line)
		}
		r.proof = append(r.proof, tlog.Hash(hash))
	}
	return r, nil
}

// ServeHTTP answers POST /add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/add-checkpoint":
		http.NotFound(rw, r)
		return
	case r.Method != http.MethodPost:
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "want POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, fmt.Sprintf("the request cannot be read, or is larger than %d bytes", maxRequest), http.StatusBadRequest)
		return
	}
	var cosignature []byte
	parsed, err := parseRequest(body)
	if err == nil {
		cosignature, err = w.add(r.Context(), parsed)
	}
	if err != nil {
		w.refuse(rw, r, err)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write(cosignature) // who went away asks again
}

func (w *Witness) refuse(rw http.ResponseWriter, r *http.Request, err error) {
	if size, other := errors.AsType[sizeError](err); other {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", uint64(size))
		return
	}
	for refusal, status := range map[error]int{
		errUnknownLog: http.StatusNotFound, errNotSigned: http.StatusForbidden, errMalformed: http.StatusBadRequest,
		errForked: http.StatusConflict, errUnproven: http.StatusUnprocessableEntity,
	} {
		if errors.Is(err, refusal) {
			http.Error(rw, err.Error(), status)
			return
		}
	}
	w.logger.ErrorContext(r.Context(), "cosigning", "error", err)
	http.Error(rw, "the witness cannot keep what it saw: ask again later", http.StatusInternalServerError)
}
