package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
)

// A Document is evidence to relay, and where it was found.
type Document struct {
	Name string // for people
	Kind ledger.Kind
	Body []byte
	// Rows are what its text says, row by row; nil of narinfo, which have none.
	Rows *openpgp.Rows
}

// An Answer is what became of a document. Exactly one of Receipt, Problem and Err
// is set.
type Answer struct {
	Duplicate bool
	State     string          // of the signatures, see package evidence
	Reason    string          // why it is kept and does not count; empty if it does
	Receipt   *ledger.Receipt // verified
	Problem   *api.Problem    // why the aggregator does not take it
	Err       error           // it could not be read here, or the answer cannot be believed
}

// A Client relays to one aggregator.
type Client struct {
	API    *api.Client
	LogKey note.Verifier // pinned: receipts by another key are worth nothing
}

// Sizes of one request: its answers are several times as large.
const (
	maxDocuments = 100
	maxSize      = 4 << 20
	attempts     = 6
	// maxWait is how long the aggregator can ask a relay to wait.
	maxWait = 5 * time.Minute
)

// Relay sends the documents, as many at once as fit a request, and yields what
// became of each, in order. It ends early with an error where the aggregator
// cannot be reached, or asks for patience again and again. An error among the
// documents is an answer of its own.
func (c *Client) Relay(ctx context.Context, documents iter.Seq2[*Document, error], each func(*Document, *Answer)) error {
	var group []*Document
	size := 0
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		answers, err := c.send(ctx, group)
		for i := range answers {
			each(group[i], &answers[i])
		}
		group, size = group[:0], 0
		return err
	}
	for d, err := range documents {
		if err != nil {
			if err := flush(); err != nil {
				return err
			}
			each(d, &Answer{Err: err})
			continue
		}
		if len(group) == maxDocuments || size > 0 && size+len(d.Body) > maxSize {
			if err := flush(); err != nil {
				return err
			}
		}
		group, size = append(group, d), size+len(d.Body)
	}
	return flush()
}

// send repeats a request while the aggregator asks for patience. What it answered
// about single documents is final, but for those that it may take later.
func (c *Client) send(ctx context.Context, documents []*Document) ([]Answer, error) {
	answers := make([]Answer, len(documents))
	open := make([]int, len(documents))
	for i := range open {
		open[i] = i
	}
	for attempt := 1; ; attempt++ {
		part := make([]*Document, len(open))
		for i, n := range open {
			part[i] = documents[n]
		}
		got, wait, err := c.request(ctx, part)
		var again []int
		for i, n := range open {
			if i >= len(got) {
				again = append(again, n)
				continue
			}
			answers[n] = got[i]
			if p := got[i].Problem; p != nil && !p.Permanent() {
				again = append(again, n)
			}
		}
		open = again
		if len(open) == 0 {
			return answers, nil
		}
		if attempt == attempts || ctx.Err() != nil {
			return c.giveUp(answers, open, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(wait, time.Second<<(attempt-1))):
		}
	}
}

// giveUp returns the answers before the first document that has none.
func (c *Client) giveUp(answers []Answer, open []int, err error) ([]Answer, error) {
	if err == nil {
		return answers, nil // each says why
	}
	for i := range open {
		if a := answers[open[i]]; a.Problem == nil {
			return answers[:open[i]], err
		}
	}
	return answers, err
}

// request makes one request. Fewer answers than documents come with an error.
func (c *Client) request(ctx context.Context, documents []*Document) (answers []Answer, wait time.Duration, err error) {
	lines := make([][]byte, len(documents))
	for i, d := range documents {
		if lines[i], err = (api.Evidence{Kind: d.Kind, Body: d.Body}).Line(); err != nil {
			return nil, 0, fmt.Errorf("writing %s: %w", d.Name, err)
		}
	}
	for result, err := range c.API.Submit(ctx, api.EvidencePath, lines) {
		switch {
		case errors.Is(err, api.ErrResult):
			answers = append(answers, Answer{Err: err})
		case err != nil:
			if answered, ok := errors.AsType[*api.AnswerError](err); ok {
				wait = min(answered.RetryAfter, maxWait)
			}
			return answers, wait, err
		default:
			answers = append(answers, c.check(result, documents[len(answers)]))
		}
	}
	return answers, 0, nil
}

// check makes an answer of a result.
func (c *Client) check(result *api.Result, d *Document) Answer {
	if result.Problem != nil {
		return Answer{Problem: result.Problem}
	}
	if err := c.verify(result.Receipt, d); err != nil {
		return Answer{Err: err}
	}
	return Answer{Duplicate: result.Duplicate, State: result.State, Reason: result.Reason, Receipt: result.Receipt}
}

// verify checks that the log holds the document, or one that says the same: the
// signatures around it can be written in several ways.
func (c *Client) verify(receipt *ledger.Receipt, d *Document) error {
	entry, err := receipt.Verify(c.LogKey)
	if err != nil {
		return err
	}
	if entry.Kind != d.Kind {
		return fmt.Errorf("the receipt is for an entry of kind %s, not %s", entry.Kind, d.Kind)
	}
	if bytes.Equal(entry.Body, d.Body) {
		return nil
	}
	said, err := content(entry.Kind, entry.Body)
	if err != nil {
		return fmt.Errorf("reading the entry of the receipt: %w", err)
	}
	if sent, err := content(d.Kind, d.Body); err != nil || said != sent {
		return fmt.Errorf("the receipt is for another document: entry %d says something else", receipt.Index)
	}
	return nil
}

// content hashes what a document says, without its signatures.
func content(kind ledger.Kind, body []byte) ([sha256.Size]byte, error) {
	if kind == ledger.Narinfo {
		info, err := narinfo.Parse(body)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		return sha256.Sum256(info.Fingerprint()), nil
	}
	if kind == ledger.SignedSums || kind == ledger.GitianAssert {
		s, err := openpgp.ParseSigned(body)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		text := [sha256.Size]byte(s.Attachment)
		if !s.Detached() {
			text = sha256.Sum256(s.Text)
		}
		return sha256.Sum256(append([]byte(s.Project+"\n"), text[:]...)), nil
	}
	document, err := openpgp.ParseDocument(body)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(append([]byte(document.Project+"\n"), document.Text...)), nil
}
