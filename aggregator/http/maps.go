package http

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/outputmap"
)

// mapProof answers with what the newest map says of an output.
func (s *Server) mapProof(c *gin.Context) {
	ecosystem, name := c.Query("ecosystem"), c.Query("name")
	if err := errors.Join(attestation.ValidateEcosystem(ecosystem), attestation.ValidateOutput(ecosystem, name)); err != nil {
		s.fail(c, api.NewProblem(api.ProblemInvalidParameter, fmt.Sprintf("Parameters ecosystem and name: %v.", err)))
		return
	}
	if index, err := s.parts.MapIndex(); err == nil {
		asked := sha256.Sum256([]byte(ecosystem + "\x00" + name))
		if unchanged(c, fmt.Sprintf(`W/"%d-%x"`, index, asked[:6]), askAgain) {
			return
		}
	}
	answer, err := s.parts.MapProof(c.Request.Context(), attestation.NewOutputID(ecosystem, name))
	if err != nil {
		s.failMap(c, err)
		return
	}
	writeJSON(c, http.StatusOK, answer)
}

// untransformed is for answers whose length has to stay.
const untransformed = "no-cache, no-transform"

// mapBucket answers with what the newest map says of all outputs whose IDs have a prefix:
// byte for byte the same, whichever of them is meant. It has no ETag: who sends one back
// tells that it asked for the bucket before.
func (s *Server) mapBucket(c *gin.Context) {
	prefix, err := attestation.ParsePrefix(c.Param("prefix"))
	if err != nil {
		s.fail(c, invalid("Parameter prefix: %v.", err))
		return
	}
	answer, err := s.parts.MapBucket(c.Request.Context(), prefix)
	if err != nil {
		s.failMap(c, err)
		return
	}
	c.Header("Cache-Control", untransformed)
	writePadded(c, answer)
}

// outputBucket answers with what the index says of all outputs whose IDs have a prefix, in
// the same way.
func (s *Server) outputBucket(c *gin.Context) {
	prefix, err := attestation.ParsePrefix(c.Param("prefix"))
	if err != nil {
		s.fail(c, invalid("Parameter prefix: %v.", err))
		return
	}
	outputs, err := s.parts.Source.Bucket(c.Request.Context(), prefix)
	if errors.Is(err, dashboard.ErrBucket) {
		err = errLargeBucket
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", untransformed)
	writePadded(c, &api.OutputBucket{Outputs: notNil(outputs)})
}

var errLargeBucket = api.NewProblem(api.ProblemTooLarge, "The bucket has too many outputs, or too many entries are about them: ask with a longer prefix, or for one output.")

// failMap says why the map proves nothing.
func (s *Server) failMap(c *gin.Context, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = api.NewProblem(api.ProblemNotFound, "The ledger commits to no map yet: read the ledger itself.")
	case errors.Is(err, outputmap.ErrBucket):
		err = errLargeBucket
	default:
		s.config.Logger.ErrorContext(c.Request.Context(), "proving by the map", "error", err)
		err = api.NewProblem(api.ProblemTryLater, "The map cannot be read now: ask again later.")
	}
	s.fail(c, err)
}

// writePadded answers with a document of package api and white space behind it, so that its
// length says little of it. It is not compressed.
func writePadded(c *gin.Context, document any) {
	text, err := json.Marshal(document, json.Deterministic(true))
	if err != nil {
		panic(fmt.Errorf("writing %T: %w", document, err)) // none of these documents can fail
	}
	size := api.PaddedSize(len(text))
	c.Header("Content-Length", strconv.Itoa(size))
	c.Data(http.StatusOK, "application/json", append(text, bytes.Repeat([]byte(" "), size-len(text))...))
}
