package submit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// A Client submits one builder's statements to one aggregator.
type Client struct {
	API    *api.Client
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
	Problem *api.Problem    // the aggregator's reason not to take the bundle
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
	problem, refused := errors.AsType[*api.Problem](err)
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

// request makes one request. Its error is a *api.Problem if the aggregator
// refused what was sent, else a *RetryError.
func (c *Client) request(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	lines := make([][]byte, len(bundles))
	for i := range bundles {
		lines[i] = bundles[i].JSON
	}
	var answers []Answer
	for result, err := range c.API.Submit(ctx, api.SubmitPath, lines) {
		switch {
		case errors.Is(err, api.ErrResult):
			answers = append(answers, Answer{Err: err})
		case err != nil:
			return answers, refusal(err)
		default:
			answers = append(answers, c.check(result, bundles[len(answers)]))
		}
	}
	return answers, nil
}

// refusal tells apart "no" and "not now". Only an aggregator's own problem
// document is a no: a proxy's error page, or another server at that address,
// must not cost a statement.
func refusal(err error) error {
	retry := &RetryError{Err: err}
	answered, ok := errors.AsType[*api.AnswerError](err)
	if !ok {
		return retry
	}
	retry.After = answered.RetryAfter
	if answered.Problem == nil {
		return retry
	}
	switch answered.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return answered.Problem
	}
	retry.Err = errors.New(err.Error()) // the problem is not the statements'
	return retry
}

// check makes an answer of a result: see [Answer].
func (c *Client) check(result *api.Result, b Bundle) Answer {
	if result.Problem != nil {
		return Answer{Problem: result.Problem}
	}
	if err := c.verify(result.Receipt, b); err != nil {
		return Answer{Err: err}
	}
	return Answer{Receipt: result.Receipt}
}

// verify checks that the log contains this builder's statement. A duplicate's
// entry may be another bundle around it: signatures and JSON can be written in
// several ways.
func (c *Client) verify(receipt *ledger.Receipt, b Bundle) error {
	entry, err := receipt.Verify(c.LogKey)
	if err != nil {
		return err
	}
	if !entry.Kind.IsStatement() {
		return fmt.Errorf("the receipt is for an entry of kind %s", entry.Kind)
	}
	builder, payload, err := signing.Peek(entry.Body)
	if err != nil {
		return fmt.Errorf("reading the entry of the receipt: %w", err)
	}
	ours, _, err := signing.Peek(b.JSON)
	if err != nil {
		return fmt.Errorf("reading the statement of the receipt: %w", err)
	}
	if builder != ours || payload != b.Payload {
		return fmt.Errorf("the receipt is for another statement: entry %d is by builder %s", receipt.Index, builder)
	}
	return nil
}
