package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"repronet/internal/wire"
)

// Register adds the submission endpoints to a router.
func (in *Ingest) Register(router gin.IRouter) {
	router.POST(wire.SubmitPath, in.handle)
	router.POST(wire.EvidencePath, in.handleEvidence)
}

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
		in.answerLines(c, body, in.submitBundle)
		return
	}
	result := in.submitAll(c, [][]byte{body}, in.submitBundle)[0]
	if result.Problem != nil {
		in.deny(c, result.Problem)
		return
	}
	c.JSON(http.StatusOK, result)
}

// handleEvidence takes third parties' documents from anybody: they prove
// themselves.
func (in *Ingest) handleEvidence(c *gin.Context) {
	if !in.ready.Load() {
		in.deny(c, in.problem(http.StatusServiceUnavailable, "try-later", "The aggregator is starting: it reads its ledger first."))
		return
	}
	media, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != wire.LinesType {
		in.deny(c, in.problem(http.StatusUnsupportedMediaType, "media-type", fmt.Sprintf("Content-Type must be %s (one document a line).", wire.LinesType)))
		return
	}
	reserved := &reservation{of: in.inFlight}
	defer reserved.release()
	body, problem := in.read(c, reserved)
	if problem != nil {
		in.deny(c, problem)
		return
	}
	in.answerLines(c, body, in.submitEvidence)
}

// A submitter handles one line of a request.
type submitter func(ctx context.Context, line []byte) wire.Result

func (in *Ingest) answerLines(c *gin.Context, body []byte, submit submitter) {
	body = bytes.TrimRight(body, "\n")
	if n := bytes.Count(body, []byte("\n")) + 1; n > wire.MaxBundles { // counted before anything is made of them
		in.deny(c, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("%d bundles in one request, at most %d are accepted: send fewer at once.", n, wire.MaxBundles)))
		return
	}
	results := in.submitAll(c, bytes.Split(body, []byte("\n")), submit)
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
func (in *Ingest) submitAll(c *gin.Context, lines [][]byte, submit submitter) []wire.Result {
	ctx := c.Request.Context()
	results := make([]wire.Result, len(lines))
	var group sync.WaitGroup
	for i, line := range lines {
		group.Go(func() { results[i] = submit(ctx, line) })
	}
	group.Wait()
	return results
}

func (in *Ingest) submitBundle(ctx context.Context, bundle []byte) wire.Result {
	index, duplicate, problem := in.Submit(ctx, bundle)
	if problem != nil {
		return wire.Result{Problem: problem}
	}
	receipt, problem := in.receipt(ctx, index)
	return wire.Result{Duplicate: duplicate, Receipt: receipt, Problem: problem}
}

func (in *Ingest) submitEvidence(ctx context.Context, line []byte) wire.Result {
	var sent wire.Evidence
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&sent); err != nil {
		return wire.Result{Problem: in.problem(http.StatusBadRequest, "malformed", fmt.Sprintf("The line is not written as {\"kind\": …, \"body\": base 64}: %v.", err))}
	}
	kept, problem := in.SubmitEvidence(ctx, sent.Kind, sent.Body)
	if problem != nil {
		return wire.Result{Problem: problem}
	}
	receipt, problem := in.receipt(ctx, kept.Index)
	if problem != nil {
		return wire.Result{Problem: problem}
	}
	return wire.Result{Duplicate: kept.Duplicate, State: kept.State.String(), Reason: kept.Reason, Receipt: receipt}
}

func (in *Ingest) deny(c *gin.Context, p *wire.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(p.Status, p)
}
