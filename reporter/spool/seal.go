package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
)

// Choice is what shall happen to an output.
type Choice int

// An output waits for the next call, is sent, or is retained: it stays private on
// this machine until it may be sent or its time is over (see [Writer.Expire]).
const (
	Wait Choice = iota
	Send
	Retain
)

// Choose decides about an output by its key.
type Choose func(ecosystem, outputKey string) Choice

// Sign turns the payload of a statement into a signed bundle.
type Sign func(ctx context.Context, payload []byte) (bundle []byte, err error)

const (
	// maxBatch is how many outputs a statement has at most; its size usually
	// ends it first. More would make one refused or lost statement cost more
	// without saving bytes.
	maxBatch = 500
	// maxChunk is how many records are in memory at a time.
	maxChunk = 2000
)

// A queued record, with its file's name.
type queued struct {
	*Record
	name string
	rest []Output // outputs that are retained, of a record of which others are sent
}

// Seal makes statements of the records in the queue: signed, durable, and no
// longer in the queue when it returns. Outputs that choose retains are in retained/
// then. It returns the number of statements made, also with an error.
func (w *Writer) Seal(ctx context.Context, choose Choose, sign Sign) (int, error) {
	sealed := 0
	err := w.withRoom(func() error {
		n, err := w.seal(ctx, choose, sign)
		sealed += n
		return err
	})
	return sealed, err
}

func (w *Writer) seal(ctx context.Context, choose Choose, sign Sign) (int, error) {
	names, err := w.list(queueDir)
	if err != nil {
		return 0, err
	}
	sealed := 0
	var chunk []queued
	flush := func() error {
		for _, batch := range batches(chunk) {
			n, err := w.sealBatch(ctx, batch, sign)
			sealed += n
			if err != nil {
				return err
			}
		}
		chunk = chunk[:0]
		return nil
	}
	for _, name := range names {
		q, err := w.readQueued(queueDir, name)
		if err != nil {
			return sealed, err
		}
		if q == nil {
			continue
		}
		switch choice := q.restrict(choose); choice {
		case Send:
			if err := w.retainRest(q); err != nil {
				return sealed, err
			}
			chunk = append(chunk, *q)
		case Retain:
			if err := w.retain(q); err != nil {
				return sealed, err
			}
		case Wait:
		}
		if len(chunk) >= maxChunk {
			if err := flush(); err != nil {
				return sealed, err
			}
		}
	}
	return sealed, flush()
}

// readQueued returns nil for a record that is gone or had to be set aside.
func (w *Writer) readQueued(dir, name string) (*queued, error) {
	data, err := w.read(maxRecordSize, dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("reading spool: %w: run this as the user who owns the spool", err)
	}
	var r *Record
	if err == nil {
		r, err = decodeRecord(data)
	}
	if err != nil {
		return nil, w.quarantine(dir, name, err)
	}
	return &queued{Record: r, name: name}, nil
}

// restrict leaves of the record what may be sent. A record with an output that
// has to wait waits as a whole.
func (q *queued) restrict(choose Choose) Choice {
	if q.Type == attestation.Withdraw {
		return Send // of what is public already
	}
	var send, rest []Output
	for _, output := range q.Outputs {
		switch choose(q.Ecosystem, output.Key) {
		case Wait:
			return Wait
		case Send:
			send = append(send, output)
		case Retain:
			rest = append(rest, output)
		}
	}
	if len(send) == 0 {
		return Retain
	}
	q.Outputs = send
	if q.Type != attestation.BuildFailed { // which is told whole, by its recipe
		q.rest = rest
	}
	return Send
}

// commit writes a state and deletes the files that it has accounted for.
func (w *Writer) commit(next *state) error {
	if err := w.writeState(next); err != nil {
		return err
	}
	w.state = next
	return w.remove(next.Remove)
}

// batches divides records so that each batch can be one statement: one type,
// ecosystem, digest kind and environment, no subject twice.
func batches(records []queued) [][]queued {
	type batch struct {
		records  []queued
		subjects map[string]struct{}
	}
	groups := make(map[string][]*batch)
	var order []*batch
	for _, q := range records {
		key := q.group()
		subjects := q.subjects()
		fits := func(b *batch) bool {
			return len(b.subjects)+len(subjects) <= maxBatch && !slices.ContainsFunc(subjects, func(s attestation.Subject) bool {
				_, taken := b.subjects[s.Name]
				return taken
			})
		}
		i := slices.IndexFunc(groups[key], fits)
		if i < 0 {
			i = len(groups[key])
			b := &batch{subjects: make(map[string]struct{})}
			groups[key] = append(groups[key], b)
			order = append(order, b)
		}
		b := groups[key][i]
		b.records = append(b.records, q)
		for _, s := range subjects {
			b.subjects[s.Name] = struct{}{}
		}
	}
	result := make([][]queued, len(order))
	for i, b := range order {
		result[i] = b.records
	}
	return result
}

func (q *queued) group() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\x00%s\x00%s\x00%s", q.Type, q.Ecosystem, q.DigestKind, q.Reason)
	for _, trait := range slices.Sorted(maps.Keys(q.Environment)) {
		fmt.Fprintf(&b, "\x00%s=%s", trait, q.Environment[trait])
	}
	return b.String()
}

// sealBatch makes one statement of the batch, or several where a ledger entry
// could not hold it.
func (w *Writer) sealBatch(ctx context.Context, batch []queued, sign Sign) (int, error) {
	records := make([]*Record, len(batch))
	item := &Item{Sealed: time.Now().UTC().Truncate(time.Second)}
	for i, q := range batch {
		records[i] = q.Record
		item.Records = append(item.Records, q.name)
		item.Outputs += uint64(len(q.subjects()))
	}
	chain := w.nextLink()
	item.Stream, item.Sequence, item.Skipped = chain.Stream, chain.Sequence, chain.Skipped
	if w.unchained {
		chain = attestation.Chain{}
	}
	statement := newStatement(records, chain)
	statement.Audience = w.audience
	payload, err := statement.Encode()
	if err != nil {
		return 0, err
	}
	item.Payload = sha256.Sum256(payload)
	if item.Bundle, err = sign(ctx, payload); err != nil {
		return 0, err
	}
	if _, err := ledger.Pack(ledger.Attestation, item.Bundle); err != nil {
		if !errors.Is(err, ledger.ErrTooLarge) {
			return 0, err
		}
		if len(batch) == 1 {
			return 0, w.quarantine(queueDir, batch[0].name, err)
		}
		middle := len(batch) / 2
		n, err := w.sealBatch(ctx, batch[:middle], sign)
		if err != nil {
			return n, err
		}
		m, err := w.sealBatch(ctx, batch[middle:], sign)
		return n + m, err
	}
	if err := w.writeItem(outboxDir, item); err != nil {
		return 0, err
	}
	item.Bundle = nil
	w.outbox[item.name()] = item
	carried := make([]string, len(item.Records))
	for i, name := range item.Records {
		carried[i] = filepath.Join(queueDir, name)
	}
	return 1, w.remove(carried)
}

// nextLink places a statement behind all that exist.
func (w *Writer) nextLink() attestation.Chain {
	head := *w.state
	pending := w.state.Skipped
	for _, item := range w.outbox {
		head.advance(item)
		pending = without(pending, item.Skipped)
	}
	return attestation.Chain{
		Stream: head.Stream, Sequence: head.Next, Previous: head.Previous,
		Skipped: pending[:min(len(pending), attestation.MaxSkipped)],
	}
}
