package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"repronet.dev/ledger"
	"repronet.dev/signing"
)

const (
	// maxLine bounds the answer to one line of a submission: an entry and its proof in
	// JSON.
	maxLine = 256 << 10
	// maxEnrolment bounds the answer to a request to be enrolled.
	maxEnrolment = 256 << 10
)

// ErrResult is wrapped by the error of a line of an answer that is not a result. The
// lines after it may be.
var ErrResult = errors.New("not an aggregator's result")

// Submit sends lines to [SubmitPath] or [EvidencePath], at most [MaxBundles] and
// [MaxRequestSize] bytes of them, and yields a result for each, in order. A line that
// is no result is an error that wraps [ErrResult], after which others may come; any
// other error is the last. What came before an answer broke off counts.
func (c *Client) Submit(ctx context.Context, path string, lines [][]byte) iter.Seq2[*Result, error] {
	return func(yield func(*Result, error) bool) {
		response, err := c.post(ctx, path, lines)
		if err != nil {
			yield(nil, err)
			return
		}
		defer response.Body.Close()
		answers := bufio.NewScanner(response.Body)
		answers.Buffer(make([]byte, 0, 64<<10), maxLine)
		for i := range lines {
			if !answers.Scan() {
				yield(nil, fmt.Errorf("reading answer %d of %d: %w", i+1, len(lines), orUnexpectedEOF(answers.Err())))
				return
			}
			if !yield(parseResult(answers.Bytes())) {
				return
			}
		}
	}
}

func orUnexpectedEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *Client) post(ctx context.Context, path string, lines [][]byte) (*http.Response, error) {
	body, err := compress(lines)
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	request.Header.Set("Content-Type", LinesType)
	request.Header.Set("Content-Encoding", "zstd")
	request.Header.Set(EntryVersionHeader, strconv.Itoa(ledger.NewestVersion))
	request.Header.Set("Accept", LinesType+", "+problemType)
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	if media := MediaType(response); media != LinesType {
		return nil, errors.Join(fmt.Errorf("the answer is %q: %s is not an aggregator's address", media, c.Base), response.Body.Close())
	}
	return response, nil
}

func compress(lines [][]byte) ([]byte, error) {
	var body bytes.Buffer
	w, err := zstd.NewWriter(&body, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if _, err := w.Write(append(slices.Clip(line), '\n')); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

func parseResult(line []byte) (*Result, error) {
	var result Result
	if err := json.Unmarshal(line, &result); err != nil {
		return nil, fmt.Errorf("parsing the aggregator's answer: %w: %w", ErrResult, err)
	}
	if (result.Receipt == nil) == (result.Problem == nil) {
		return nil, fmt.Errorf("%w: it has not exactly one of receipt and problem", ErrResult)
	}
	return &result, nil
}

// Line writes a document as a line of a submission to [EvidencePath].
func (e Evidence) Line() ([]byte, error) { return json.Marshal(e) }

// Enrol asks for a builder to be enrolled; document is that of package
// enrolment/request. The error of a request that is refused is an [AnswerError] with a
// [Problem].
func (c *Client) Enrol(ctx context.Context, document []byte) (*Enrolment, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+EnrolmentsPath, bytes.NewReader(document))
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	request.Header.Set("Content-Type", jsonType)
	return c.enrolment(c.do(request, http.StatusAccepted)) //nolint:bodyclose // enrolment closes it
}

// Enrolment asks what became of a builder's request.
func (c *Client) Enrolment(ctx context.Context, builder signing.BuilderID) (*Enrolment, error) {
	return c.enrolment(c.Open(ctx, EnrolmentPath(string(builder)), nil)) //nolint:bodyclose // enrolment closes it
}

func (c *Client) enrolment(response *http.Response, err error) (*Enrolment, error) {
	if err != nil {
		return nil, err
	}
	text, err := c.whole(response, maxEnrolment, jsonType)
	if err != nil {
		return nil, err
	}
	var answer Enrolment
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("parsing the aggregator's answer: %w", err)
	}
	return &answer, nil
}
