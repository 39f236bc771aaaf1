package http

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/dashboard"
)

// conditional answers 304 to a client that has the answer already. The watermark is
// read before the answer is computed, so an entry that is indexed in between
// makes the ETag too old, never too new.
func (s *Server) conditional(ctx huma.Context, next func(huma.Context)) {
	watermark, err := s.parts.Source.Watermark(ctx.Context())
	if err != nil {
		next(ctx) // the operation will fail in the same way, and say so
		return
	}
	u := ctx.URL()
	etag := etagOf(watermark, u.Path+"?"+u.RawQuery)
	ctx.SetHeader("ETag", etag)
	ctx.SetHeader("Cache-Control", "no-cache")
	if matches(ctx.Header("If-None-Match"), etag) {
		ctx.SetStatus(http.StatusNotModified)
		return
	}
	next(ctx)
}

// unchanged gives the answer that follows an ETag, and answers 304 in its place to a client
// that has it already.
func unchanged(c *gin.Context, etag, caching string) bool {
	c.Header("ETag", etag)
	c.Header("Cache-Control", caching)
	if !matches(c.GetHeader("If-None-Match"), etag) {
		return false
	}
	c.Status(http.StatusNotModified)
	c.Writer.WriteHeaderNow()
	c.Abort()
	return true
}

// indexedETag is the ETag of an answer that follows from the watermark and what is asked
// for; "" where the watermark cannot be read: the answer will fail in the same way, and say
// so.
func (s *Server) indexedETag(c *gin.Context, base string) string {
	watermark, err := s.parts.Source.Watermark(c.Request.Context())
	if err != nil {
		return ""
	}
	return etagOf(watermark, base+c.Request.URL.Path+"?"+c.Request.URL.RawQuery)
}

// writeMade answers with a document of the moment, whose ETag is made of it.
func (s *Server) writeMade(c *gin.Context, document any) {
	text, err := json.Marshal(document, json.Deterministic(true))
	if err != nil {
		s.fail(c, err)
		return
	}
	if !unchanged(c, etagOfBytes(text), askAgain) {
		c.Data(http.StatusOK, "application/json", text)
	}
}

// etagOfBytes is that of an answer which is made to know whether it is the same.
func etagOfBytes(text []byte) string {
	sum := sha256.Sum256(text)
	return fmt.Sprintf(`"%x"`, sum[:12])
}

// etagOf is that of what was asked for, at a watermark.
func etagOf(watermark dashboard.Watermark, asked string) string {
	query := sha256.Sum256([]byte(asked))
	return fmt.Sprintf(`"%d.%d-%x"`, watermark.Indexed, watermark.Compared, query[:6])
}

// matches compares as RFC 9110 says for If-None-Match: weakly, any of a list.
func matches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == strings.TrimPrefix(etag, "W/") || candidate == "*" {
			return true
		}
	}
	return false
}

// notNil makes an empty list [] in JSON, also where a source forgot to.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
