package http

import (
	"crypto/sha256"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"repronet.dev/dashboard"
)

// An answering makes a document that stands beside pages.
type answering func(*gin.Context) (*dashboard.Document, error)

// feed is the route of a feed or a list: a function of the watermark, the query, and the
// address under which the server is reached.
func (s *Server) feed(name, path string, answer answering) route {
	return route{name: name, method: http.MethodGet, path: path, chain: []gin.HandlerFunc{programHeaders, s.unlessKnown, func(c *gin.Context) {
		document, err := answer(c)
		if err != nil {
			s.fail(c, err)
			return
		}
		if document.Next != "" {
			c.Header("Link", fmt.Sprintf("<%s>; rel=\"next\"", document.Next))
		}
		if document.File != "" {
			c.Header("Content-Disposition", "attachment; filename="+document.File)
		}
		c.Data(http.StatusOK, document.Type, document.Body)
	}}}
}

// unlessKnown answers 304 to a client that has the answer already, as conditional does.
func (s *Server) unlessKnown(c *gin.Context) {
	watermark, err := s.parts.Source.Watermark(c.Request.Context())
	if err != nil {
		return // the answer will fail in the same way, and say so
	}
	u := c.Request.URL
	etag := etagOf(watermark, s.pages.BaseURL(c)+" "+u.Path+"?"+u.RawQuery)
	c.Header("ETag", etag)
	c.Header("Cache-Control", askAgain)
	if matches(c.GetHeader("If-None-Match"), etag) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		c.Abort()
	}
}

// badge is the route of a badge. It is answered without an index too: a page elsewhere that
// shows it would go on showing what was so before.
func (s *Server) badge(name, path string, answer answering) route {
	return route{name: name, method: http.MethodGet, path: path, chain: []gin.HandlerFunc{programHeaders, func(c *gin.Context) {
		document, err := answer(c)
		if err != nil {
			s.fail(c, err)
			return
		}
		// It also says how far the index is behind, which no watermark tells.
		sum := sha256.Sum256(document.Body)
		etag := fmt.Sprintf(`"%x"`, sum[:12])
		c.Header("ETag", etag)
		c.Header("Cache-Control", keepFiveMinutes)
		if matches(c.GetHeader("If-None-Match"), etag) && document.Status == http.StatusOK {
			c.Status(http.StatusNotModified)
			c.Writer.WriteHeaderNow()
			return
		}
		c.Data(document.Status, document.Type, document.Body)
	}}}
}
