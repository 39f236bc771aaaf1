package http

import (
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
	if etag := s.indexedETag(c, s.pages.BaseURL(c)+" "); etag != "" {
		unchanged(c, etag, askAgain)
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
		etag := etagOfBytes(document.Body)
		if document.Status != http.StatusOK {
			c.Header("ETag", etag)
			c.Header("Cache-Control", keepFiveMinutes)
		} else if unchanged(c, etag, keepFiveMinutes) {
			return
		}
		c.Data(document.Status, document.Type, document.Body)
	}}}
}
