package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/ledger"
	"repronet/signing"
)

// Bounds in bytes: of the JSON of a request, of a package set's list, and of an
// answer.
const (
	maxDocument = 64 << 10
	maxList     = 1 << 30
	maxAnswer   = 64 << 20
)

type answer struct {
	Index uint64 `json:"index"`
}

type attached struct {
	SHA256 attestation.Digest `json:"sha256"`
}

// revocation is the body of a request to revoke.
type revocation struct {
	Builder string  `json:"builder"`
	From    *uint64 `json:"from,omitempty"`
	Reason  string  `json:"reason"`
}

// erasure is the body of a request to erase.
type erasure struct {
	Attachment attestation.Digest `json:"attachment"`
	Reason     string             `json:"reason"`
}

// Handler serves a Service to [Dial]. It is for a socket that only the operator
// can open.
func Handler(service Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /attach", func(w http.ResponseWriter, r *http.Request) {
		sum, err := service.Attach(r.Context(), http.MaxBytesReader(w, r.Body, ledger.MaxAttachmentSize))
		reply(w, attached{sum}, err)
	})
	mux.HandleFunc("POST /enrol", func(w http.ResponseWriter, r *http.Request) {
		var e enrolment.Enrolment
		if !decode(w, r, &e) {
			return
		}
		index, err := service.Enrol(r.Context(), &e)
		reply(w, answer{index}, err)
	})
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		var request revocation
		if !decode(w, r, &request) {
			return
		}
		id, err := signing.ParseBuilderID(request.Builder)
		if err != nil {
			reply(w, nil, err)
			return
		}
		index, err := service.Revoke(r.Context(), id, request.From, request.Reason)
		reply(w, answer{index}, err)
	})
	mux.HandleFunc("POST /erase", func(w http.ResponseWriter, r *http.Request) {
		var request erasure
		if !decode(w, r, &request) {
			return
		}
		index, err := service.Erase(r.Context(), request.Attachment, request.Reason)
		reply(w, answer{index}, err)
	})
	mux.HandleFunc("POST /builders", func(w http.ResponseWriter, r *http.Request) {
		builders, err := service.Builders(r.Context())
		reply(w, builders, err)
	})
	handleJoining(mux, service)
	mux.HandleFunc("POST /sets/{name}", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		set := Set{Name: r.PathValue("name"), Revision: query.Get("revision"), Ecosystem: query.Get("ecosystem")}
		published, err := service.PublishSet(r.Context(), set, http.MaxBytesReader(w, r.Body, maxList))
		reply(w, published, err)
	})
	mux.HandleFunc("POST /reindex", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", errorTrailer)
		if err := service.Reindex(r.Context(), flusher{w, http.NewResponseController(w)}); err != nil {
			w.Header().Set(errorTrailer, strconv.Quote(err.Error()))
		}
	})
	// Where the time and the memory of a running server go, for go tool pprof.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// errorTrailer carries the error of a request whose answer was progress.
const errorTrailer = "Repronet-Error"

// flusher sends each line of progress at once.
type flusher struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.controller.Flush()
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDocument))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		reply(w, nil, fmt.Errorf("reading request: %w", err))
		return false
	}
	return true
}

// reply answers 200 with JSON, or 422 with the error's text: the other side is
// the operator, who may see it as it is.
func reply(w http.ResponseWriter, result any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(result); err != nil {
		return // the operator is gone; what was done is done
	}
}
