package http

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// programHeaders are those of all answers to programs: nothing in them is to be run
// or framed by a browser, and any origin may read what there is to read.
func programHeaders(c *gin.Context) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		c.Header("Access-Control-Allow-Origin", "*")
		c.Header("Access-Control-Expose-Headers", "ETag, Link, Repronet-Indexed, Repronet-Kind, Retry-After")
	}
}
