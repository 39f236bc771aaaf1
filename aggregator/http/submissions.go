package http

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"strconv"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
)

// A submitter handles one line of a submission, which is part of a batch.
type submitter func(ctx context.Context, batch *ingest.Batch, line []byte) (*api.Result, error)

// submitAttestations takes one Sigstore bundle, or several, one a line.
func (s *Server) submitAttestations(c *gin.Context) {
	s.submission(c, fmt.Sprintf("%s (one bundle) or %s (one bundle a line)", api.BundleType, api.LinesType), s.submitBundle, api.BundleType, api.LinesType)
}

// submitEvidence takes third parties' documents from anybody: they prove themselves.
func (s *Server) submitEvidence(c *gin.Context) {
	s.submission(c, api.LinesType+" (one document a line)", s.submitDocument, api.LinesType)
}

func (s *Server) submission(c *gin.Context, advice string, submit submitter, types ...string) {
	err := s.parts.Ingest.CheckReady()
	var media string
	if err == nil {
		media, err = checkMedia(c, advice, types...)
	}
	if err != nil {
		turnAway(c)
		s.fail(c, err)
		return
	}
	who := s.networks.Of(c.Request.RemoteAddr)
	body, held, err := s.readBody(c, who, ofBundles)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer held.release()
	lines := [][]byte{body}
	if media == api.LinesType {
		if lines, err = split(body); err != nil {
			s.fail(c, err)
			return
		}
		if !held.grow(len(lines) * perLine) {
			s.fail(c, bodyProblem(errBusy, "", ofBundles))
			return
		}
	}
	reads, err := strconv.Atoi(c.GetHeader(api.EntryVersionHeader))
	folding := err == nil && reads >= ledger.NewestVersion
	results := s.submitAll(c, s.parts.Ingest.Batch(who).Folding(folding), lines, submit)
	if media == api.LinesType {
		writeLines(c, results)
		return
	}
	if problem := results[0].Problem; problem != nil {
		s.fail(c, problem)
		return
	}
	writeJSON(c, http.StatusOK, results[0])
}

// split cuts a body into lines, which are counted before anything is made of them.
func split(body []byte) ([][]byte, error) {
	body = bytes.TrimRight(body, "\n")
	if n := bytes.Count(body, []byte("\n")) + 1; n > api.MaxBundles {
		return nil, api.NewProblem(api.ProblemTooLarge, fmt.Sprintf("%d bundles in one request, at most %d are accepted: send fewer at once.", n, api.MaxBundles))
	}
	return bytes.Split(body, []byte("\n")), nil
}

// submitAll handles the lines of one request side by side, so that they share the
// ledger's batches, and answers each in its place. Equal lines are handled once.
func (s *Server) submitAll(c *gin.Context, batch *ingest.Batch, lines [][]byte, submit submitter) []*api.Result {
	ctx := c.Request.Context()
	results := make([]*api.Result, len(lines))
	first := distinct(lines)
	var group sync.WaitGroup
	for i, line := range lines {
		if first[i] != i {
			continue
		}
		group.Go(func() {
			result, err := guarded(s, c, func() (*api.Result, error) { return submit(ctx, batch, line) })
			if err != nil {
				result = &api.Result{Problem: s.problem(err)}
			}
			results[i] = result
		})
	}
	group.Wait()
	for i := range results {
		if first[i] != i {
			again := *results[first[i]]
			again.Duplicate = again.Receipt != nil
			results[i] = &again
		}
	}
	return results
}

// distinct returns, for each line, the place of the first that is equal to it.
func distinct(lines [][]byte) []int {
	seed := maphash.MakeSeed() // nobody can find lines that are taken for equal ones to be compared
	places := make(map[uint64]int, len(lines))
	first := make([]int, len(lines))
	for i, line := range lines {
		sum := maphash.Bytes(seed, line)
		first[i] = i
		if at, seen := places[sum]; !seen {
			places[sum] = i
		} else if bytes.Equal(lines[at], line) {
			first[i] = at
		}
	}
	return first
}

// guarded makes an error of a panic: in a goroutine of its own it would end the
// process.
func guarded[T any](s *Server, c *gin.Context, do func() (T, error)) (result T, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			s.logPanic(c, reason)
			err = errPanicked
		}
	}()
	return do()
}

func (s *Server) submitBundle(ctx context.Context, batch *ingest.Batch, bundle []byte) (*api.Result, error) {
	index, duplicate, err := batch.Submit(ctx, bundle)
	if err != nil {
		return nil, err
	}
	receipt, err := s.parts.Ingest.Receipt(ctx, index)
	if err != nil {
		return nil, err
	}
	return &api.Result{Duplicate: duplicate, Receipt: receipt}, nil
}

func (s *Server) submitDocument(ctx context.Context, batch *ingest.Batch, line []byte) (*api.Result, error) {
	var sent api.Evidence
	if err := attestation.DecodeStrict(line, &sent); err != nil {
		return nil, api.NewProblem(api.ProblemMalformed, fmt.Sprintf("The line is not written as {\"kind\": …, \"body\": base 64}: %v.", err))
	}
	kept, err := batch.SubmitEvidence(ctx, sent.Kind, sent.Body)
	if err != nil {
		return nil, err
	}
	receipt, err := s.parts.Ingest.Receipt(ctx, kept.Index)
	if err != nil {
		return nil, err
	}
	return &api.Result{Duplicate: kept.Duplicate, State: kept.State.String(), Reason: kept.Reason, Receipt: receipt}, nil
}

func writeLines(c *gin.Context, results []*api.Result) {
	c.Header("Content-Type", api.LinesType)
	c.Status(http.StatusOK)
	for _, result := range results {
		line, err := json.Marshal(result)
		if err == nil {
			_, err = c.Writer.Write(append(line, '\n'))
		}
		if err != nil {
			return // the sender is gone; what is durable stays, and it will ask again
		}
	}
}

// writeJSON answers with a document of package api.
func writeJSON(c *gin.Context, status int, document any) {
	text, err := json.Marshal(document, json.Deterministic(true))
	if err != nil {
		panic(fmt.Errorf("writing %T: %w", document, err)) // none of these documents can fail
	}
	c.Data(status, "application/json", text)
}
