package http

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/manifest"
	"repronet.dev/signing"
)

// Reports keeps what builders say of outputs that diverge.
type Reports interface {
	// Take keeps a manifest, as package manifest writes it.
	Take(ctx context.Context, document []byte) (*api.ManifestKept, error)
	// Wanted says of which outputs a builder's manifest is wanted.
	Wanted(ctx context.Context, builder signing.BuilderID, cursor string) (*api.WantedManifests, error)
	// Of says where the builds of an output differ.
	Of(ctx context.Context, output *api.Output) (*api.Differences, error)
	// Document returns [dashboard.ErrNotFound] if there is no such manifest.
	Document(ecosystem, output string, digest attestation.Digest, builder signing.BuilderID) ([]byte, error)
}

// ofManifests are the bounds of a manifest that is handed in.
var ofManifests = bounds{manifest.MaxDocument, "manifests", "files"}

// submitManifest takes a builder's manifest of an output that diverges.
func (s *Server) submitManifest(c *gin.Context) {
	if _, err := checkMedia(c, api.LinesType+" (a bundle, and an entry a line)", api.LinesType); err != nil {
		turnAway(c)
		s.fail(c, err)
		return
	}
	document, held, err := s.readBody(c, s.networks.Of(c.Request.RemoteAddr), ofManifests)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer held.release()
	kept, err := s.parts.Reports.Take(c.Request.Context(), document)
	if err != nil {
		s.fail(c, err)
		return
	}
	writeJSON(c, http.StatusOK, kept)
}

// wantedManifests answers which of a builder's manifests are wanted.
func (s *Server) wantedManifests(c *gin.Context) {
	builder, err := signing.ParseBuilderID(c.Query("builder"))
	if err != nil {
		s.fail(c, invalid("Parameter builder: %v.", err))
		return
	}
	wanted, err := s.parts.Reports.Wanted(c.Request.Context(), builder, c.Query("cursor"))
	if err != nil {
		s.fail(c, dashboard.Missing(err, "No builder %q is enrolled, or the cursor is none of an answer.", builder))
		return
	}
	s.writeMade(c, wanted)
}

// differences answers where the builds of an output differ.
func (s *Server) differences(c *gin.Context) {
	output, err := s.parts.Source.Output(c.Request.Context(), c.Query("output"))
	var found *api.Differences
	if err == nil {
		found, err = s.parts.Reports.Of(c.Request.Context(), output)
	}
	if err != nil {
		s.fail(c, dashboard.Missing(err, "Nobody attested an output %.200q. Names are exact.", c.Query("output")))
		return
	}
	s.writeMade(c, found)
}

// manifest answers with a manifest as it was handed in.
func (s *Server) manifest(c *gin.Context) {
	digest, err := attestation.ParseAnyDigest(c.Query("digest"))
	if err != nil {
		s.fail(c, invalid("Parameter digest: %v.", err))
		return
	}
	builder, err := signing.ParseBuilderID(c.Query("builder"))
	if err != nil {
		s.fail(c, invalid("Parameter builder: %v.", err))
		return
	}
	output, err := s.parts.Source.Output(c.Request.Context(), c.Query("output"))
	var document []byte
	if err == nil {
		document, err = s.parts.Reports.Document(output.Ecosystem, output.Key, digest, builder)
	}
	if err != nil {
		s.fail(c, dashboard.Missing(err, "There is no manifest by builder %s of %.200q with that digest; "+api.ManifestsPath+" lists those of an output.", builder, c.Query("output")))
		return
	}
	if unchanged(c, etagOfBytes(document), askAgain) {
		return
	}
	c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.jsonl"`, digest.Hex()[:16]))
	c.Data(http.StatusOK, api.LinesType, document)
}
