package http

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/aggregator/fair"
)

// programHeaders are those of all answers to programs: nothing in them is to be run
// or framed by a browser, and any origin may read what there is to read.
func programHeaders(c *gin.Context) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		c.Header("Access-Control-Allow-Origin", "*")
		c.Header("Access-Control-Expose-Headers", "ETag, Link, RateLimit, RateLimit-Policy, Repronet-Indexed, Repronet-Kind, Repronet-Snapshot, Repronet-SQL-Limits, Retry-After")
	}
}

// limitHeaders say what an address may have in a time, what of it is left, and when what it
// asked for is, or all of it (draft-ietf-httpapi-ratelimit-headers).
func limitHeaders(c *gin.Context, name string, left fair.Left) {
	reset := left.Wait
	if reset == 0 {
		reset = time.Duration(float64(left.Rate.Burst-left.Now) / left.Rate.PerSecond * float64(time.Second))
	} else {
		c.Header("Retry-After", seconds(left.Wait))
	}
	c.Header("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%s", name, left.Rate.Burst, seconds(left.Rate.Window())))
	c.Header("RateLimit", fmt.Sprintf("%q;r=%d;t=%s", name, left.Now, seconds(reset)))
}

// seconds are the whole ones in which a time is over.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(max(0, d.Seconds()))), 10)
}
