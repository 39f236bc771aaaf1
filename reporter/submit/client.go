package submit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"repronet/attestation"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/signing/keys"
)

// A Client submits one builder's statements to one aggregator.
type Client struct {
	HTTP   *http.Client
	Base   string        // the aggregator's base URL, without a slash at its end
	LogKey note.Verifier // pinned: receipts by another key are worth nothing
}

// A Bundle is a signed statement to submit.
type Bundle struct {
	JSON    []byte
	Payload attestation.Digest // SHA-256 of the statement in it
}

// An Answer is what the aggregator said of one bundle. Exactly one of Receipt,
// Problem and Err is set.
type Answer struct {
	Receipt *ledger.Receipt // verified
	Problem *wire.Problem   // the aggregator's reason not to take the bundle
	Err     error           // the answer cannot be believed
}

// RetryError is an attempt that failed as a whole and may succeed later.
type RetryError struct {
	After time.Duration // what the aggregator asked for; zero where it did not
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// Sizes of one request, chosen for a small memory; the protocol allows more.
const (
	// MaxBundles of one request: the answer to each may have 100 kB.
	MaxBundles = 100
	// MaxSize of one request's bundles in bytes.
	MaxSize = 4 << 20

	// maxLine bounds one answer: an entry and its proof in JSON.
	maxLine = 256 << 10
	// maxProblem bounds a problem document.
	maxProblem = 64 << 10
)

// Submit sends bundles, in as many requests as they need, and returns the
// answers to the first of them, in order. Fewer answers than bundles come with
// a [RetryError] that says why.
func (c *Client) Submit(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	var answers []Answer
	for len(bundles) > 0 {
		n := requestSize(bundles)
		got, err := c.submitSplitting(ctx, bundles[:n])
		answers = append(answers, got...)
		if err != nil {
			return answers, err
		}
		bundles = bundles[n:]
	}
	return answers, nil
}

func requestSize(bundles []Bundle) int {
	size := 0
	for i, b := range bundles {
		size += len(b.JSON) + 1
		if i > 0 && (size > MaxSize || i == MaxBundles) {
			return i
		}
	}
	return len(bundles)
}

// submitSplitting halves a request that is refused as a whole until it is clear
// which bundle the refusal is about.
func (c *Client) submitSplitting(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	answers, err := c.request(ctx, bundles)
	problem, refused := errors.AsType[*wire.Problem](err)
	if !refused {
		return answers, err
	}
	if len(bundles) == 1 {
		return []Answer{{Problem: problem}}, nil
	}
	middle := len(bundles) / 2
	first, err := c.submitSplitting(ctx, bundles[:middle])
	if err != nil {
		return first, err
	}
	second, err := c.submitSplitting(ctx, bundles[middle:])
	return append(first, second...), err
}

// request makes one request. Its error is a *wire.Problem if the aggregator
// refused what was sent, else a *RetryError.
func (c *Client) request(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	body, err := encode(bundles)
	if err != nil {
		return nil, &RetryError{Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+wire.SubmitPath, bytes.NewReader(body))
	if err != nil {
		return nil, &RetryError{Err: err}
	}
	req.Header.Set("Content-Type", wire.LinesType)
	req.Header.Set("Content-Encoding", "zstd")
	req.Header.Set("Accept", wire.LinesType+", application/problem+json")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, &RetryError{Err: fmt.Errorf("reaching the aggregator: %w", err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	if mediaType(resp) != wire.LinesType {
		return nil, &RetryError{Err: fmt.Errorf("the answer is %q: %s is not an aggregator's address", resp.Header.Get("Content-Type"), c.Base)}
	}
	return c.readAnswers(resp.Body, bundles)
}

// encode returns the bundles as compressed JSON lines.
func encode(bundles []Bundle) ([]byte, error) {
	var body bytes.Buffer
	w, err := zstd.NewWriter(&body, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	for _, b := range bundles {
		if _, err := w.Write(append(slices.Clip(b.JSON), '\n')); err != nil {
			return nil, fmt.Errorf("compressing: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return body.Bytes(), nil
}

// refusal tells apart "no" and "not now". Only an aggregator's own problem
// document is a no: a proxy's error page, or another server at that address,
// must not cost a statement.
func refusal(resp *http.Response) error {
	retry := &RetryError{After: retryAfter(resp), Err: fmt.Errorf("the aggregator answered %s", resp.Status)}
	if mediaType(resp) != "application/problem+json" {
		return retry
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return retry
	}
	var problem wire.Problem
	if err := json.Unmarshal(text, &problem); err != nil {
		return retry
	}
	problem.Status = resp.StatusCode
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return &problem
	}
	retry.Err = fmt.Errorf("the aggregator answered: %w", &problem)
	return &RetryError{After: retry.After, Err: errors.New(retry.Err.Error())}
}

func mediaType(resp *http.Response) string {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// maxRetryAfter bounds how long an aggregator can silence a reporter.
const maxRetryAfter = time.Hour

func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(time.Until(at), maxRetryAfter))
	}
	return 0
}

// readAnswers reads one result a line. What came before the answer broke off
// counts.
func (c *Client) readAnswers(body io.Reader, bundles []Bundle) ([]Answer, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var answers []Answer
	for _, b := range bundles {
		if !lines.Scan() {
			err := lines.Err()
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return answers, &RetryError{Err: fmt.Errorf("reading answer %d of %d: %w", len(answers)+1, len(bundles), err)}
		}
		answers = append(answers, c.check(lines.Bytes(), b))
	}
	return answers, nil
}

// check makes an answer of one line: see [Answer].
func (c *Client) check(line []byte, b Bundle) Answer {
	var result wire.Result
	if err := json.Unmarshal(line, &result); err != nil {
		return Answer{Err: fmt.Errorf("parsing the aggregator's answer: %w", err)}
	}
	switch {
	case result.Receipt != nil && result.Problem == nil:
		if err := c.verify(result.Receipt, b); err != nil {
			return Answer{Err: err}
		}
		return Answer{Receipt: result.Receipt}
	case result.Problem != nil && result.Receipt == nil:
		return Answer{Problem: result.Problem}
	default:
		return Answer{Err: errors.New("the aggregator's answer has not exactly one of receipt and problem")}
	}
}

// verify checks that the log contains this builder's statement. A duplicate's
// entry may be another bundle around it: signatures and JSON can be written in
// several ways.
func (c *Client) verify(receipt *ledger.Receipt, b Bundle) error {
	entry, err := receipt.Verify(c.LogKey)
	if err != nil {
		return err
	}
	if entry.Kind != ledger.Attestation {
		return fmt.Errorf("the receipt is for an entry of kind %s", entry.Kind)
	}
	builder, payload, err := keys.Peek(entry.Body)
	if err != nil {
		return fmt.Errorf("reading the entry of the receipt: %w", err)
	}
	ours, _, err := keys.Peek(b.JSON)
	if err != nil {
		return fmt.Errorf("reading the statement of the receipt: %w", err)
	}
	if builder != ours || payload != b.Payload {
		return fmt.Errorf("the receipt is for another statement: entry %d is by builder %s", receipt.Index, builder)
	}
	return nil
}
