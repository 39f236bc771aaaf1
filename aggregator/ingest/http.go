package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"repronet/internal/wire"
)

// Register adds the submission endpoint to a router.
func (in *Ingest) Register(router gin.IRouter) { router.POST(wire.SubmitPath, in.handle) }

func (in *Ingest) handle(c *gin.Context) {
	if !in.ready.Load() {
		in.deny(c, in.problem(http.StatusServiceUnavailable, "try-later", "The aggregator is starting: it reads its ledger first."))
		return
	}
	media, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != wire.BundleType && media != wire.LinesType {
		in.deny(c, in.problem(http.StatusUnsupportedMediaType, "media-type",
			fmt.Sprintf("Content-Type must be %s (one bundle) or %s (one bundle a line).", wire.BundleType, wire.LinesType)))
		return
	}
	reserved := &reservation{of: in.inFlight}
	defer reserved.release()
	body, problem := in.read(c, reserved)
	if problem != nil {
		in.deny(c, problem)
		return
	}
	if media == wire.LinesType {
		in.answerLines(c, body)
		return
	}
	result := in.submitAll(c, [][]byte{body})[0]
	if result.Problem != nil {
		in.deny(c, result.Problem)
		return
	}
	c.JSON(http.StatusOK, result)
}

func (in *Ingest) answerLines(c *gin.Context, body []byte) {
	body = bytes.TrimRight(body, "\n")
	if n := bytes.Count(body, []byte("\n")) + 1; n > wire.MaxBundles { // counted before anything is made of them
		in.deny(c, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("%d bundles in one request, at most %d are accepted: send fewer at once.", n, wire.MaxBundles)))
		return
	}
	results := in.submitAll(c, bytes.Split(body, []byte("\n")))
	c.Header("Content-Type", wire.LinesType)
	c.Status(http.StatusOK)
	encoder := json.NewEncoder(c.Writer)
	encoder.SetEscapeHTML(false)
	for i := range results {
		if err := encoder.Encode(&results[i]); err != nil {
			return // the sender is gone; what is durable stays, and it will ask again
		}
	}
}

// submitAll handles the bundles of one request side by side, so that they share
// the ledger's batches, and answers each in its place.
func (in *Ingest) submitAll(c *gin.Context, bundles [][]byte) []wire.Result {
	ctx := c.Request.Context()
	results := make([]wire.Result, len(bundles))
	var group sync.WaitGroup
	for i, bundle := range bundles {
		group.Go(func() {
			index, duplicate, problem := in.Submit(ctx, bundle)
			if problem != nil {
				results[i].Problem = problem
				return
			}
			results[i].Duplicate = duplicate
			results[i].Receipt, results[i].Problem = in.receipt(ctx, index)
		})
	}
	group.Wait()
	return results
}

func (in *Ingest) deny(c *gin.Context, p *wire.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.Status, p)
}
