package append

import (
	"context"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera"

	"repronet/ledger"
)

const (
	// maxBatch bounds the entries of a batch: four full bundles, 64 MiB at most.
	maxBatch = 1024
	// batchAge is how long the first entry of a batch waits for others to come.
	batchAge = 5 * time.Millisecond
	// tesseraAge is how long Tessera waits for more in its turn: as it does not
	// know that a batch is complete, it has to wait for something.
	tesseraAge = time.Millisecond
)

// pending is an entry on its way.
type pending struct {
	kind       ledger.Kind
	compressed []byte
	done       chan struct{} // closed when index and err are set
	index      uint64
	err        error
}

// Append puts an entry into the log and returns its index, when the entry is on
// disk and part of the tree. The error wraps [ledger.ErrTooLarge] for a body
// that no entry can hold. After any other error, such as the context's end, the
// entry may be in the log or not.
func (l *Log) Append(ctx context.Context, kind ledger.Kind, body []byte) (index uint64, err error) {
	if err := kind.Validate(); err != nil {
		return 0, fmt.Errorf("appending: %w", err)
	}
	compressed, err := ledger.CompressBody(body)
	if err != nil {
		return 0, fmt.Errorf("appending %s: %w", kind, err)
	}
	p := &pending{kind: kind, compressed: compressed, done: make(chan struct{})}
	select {
	case l.incoming <- p:
	case <-l.closing:
		return 0, fmt.Errorf("appending %s: %w", kind, ErrClosed)
	case <-ctx.Done():
		return 0, fmt.Errorf("appending %s: %w", kind, ctx.Err())
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("appending %s: %w", kind, ctx.Err())
	}
	if p.err != nil {
		return 0, fmt.Errorf("appending %s: %w", kind, p.err)
	}
	return p.index, nil
}

// write commits batch after batch until the log is closed.
func (l *Log) write(ctx context.Context, last time.Time) {
	defer close(l.written)
	for {
		select {
		case first := <-l.incoming:
			batch := l.gather(first)
			if now := time.Now(); now.After(last) {
				last = now
			}
			l.commit(ctx, batch, last)
		case <-l.closing:
			return
		}
	}
}

// gather collects what comes within a moment of the first entry.
func (l *Log) gather(first *pending) []*pending {
	batch := []*pending{first}
	full := time.NewTimer(batchAge)
	defer full.Stop()
	for len(batch) < maxBatch {
		select {
		case p := <-l.incoming:
			batch = append(batch, p)
		case <-full.C:
			return batch
		}
	}
	return batch
}

// commit writes a batch and answers its appends.
func (l *Log) commit(ctx context.Context, batch []*pending, receivedAt time.Time) {
	encoded := make([][]byte, len(batch))
	futures := make([]tessera.IndexFuture, len(batch))
	for i, p := range batch {
		encoded[i] = ledger.AppendEntry(nil, p.kind, receivedAt, p.compressed)
		futures[i] = l.appender.Add(ctx, tessera.NewEntry(encoded[i]))
	}
	size := l.Size()
	for i, p := range batch {
		index, err := futures[i]()
		p.index, p.err = index.Index, err
		if err == nil {
			size = max(size, p.index+1)
			l.recent.put(p.index, encoded[i])
		}
	}
	l.size.set(size)
	for _, p := range batch {
		close(p.done)
	}
}
