package writer

import (
	"context"
	"fmt"
	"sync"

	"repronet.dev/ledger"
)

// Receipt returns the entry at an index of the log with the proof that the
// published checkpoint commits to it. It waits for such a checkpoint.
func (l *Log) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	checkpoint, err := wait(ctx, l, &l.checkpoint, func(c *ledger.Checkpoint) bool { return c != nil && c.Size > index })
	if err != nil {
		return nil, fmt.Errorf("waiting for a checkpoint over entry %d: %w", index, err)
	}
	tree := l.reader.Local(checkpoint.Size)
	proof, err := tree.ProveInclusion(ctx, index)
	if err != nil {
		return nil, err
	}
	entry, ok := l.recent.get(index)
	if !ok {
		record, err := tree.Record(ctx, index)
		if err != nil {
			return nil, err
		}
		entry = record.Data
	}
	return &ledger.Receipt{Index: index, Entry: entry, Proof: proof, Checkpoint: string(checkpoint.Text)}, nil
}

// watched is a value that can be waited for.
type watched[T any] struct {
	mu      sync.Mutex // guards what follows
	value   T
	changed chan struct{} // closed at the next change; nil if nobody waits
}

func (w *watched[T]) set(value T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.value = value
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// get returns the value, and what is closed when it changes.
func (w *watched[T]) get() (T, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.value, w.changed
}

// wait waits for a value that will do.
func wait[T any](ctx context.Context, l *Log, w *watched[T], enough func(T) bool) (T, error) {
	for {
		value, changed := w.get()
		if enough(value) {
			return value, nil
		}
		select {
		case <-changed:
		case <-l.ended:
			return value, ErrClosed
		case <-ctx.Done():
			return value, ctx.Err()
		}
	}
}

// maxRecent bounds what [recent] keeps, in bytes.
const maxRecent = 32 << 20

// recent keeps the entries that were appended last, because receipts are asked
// for soon after, and an entry is slow to find in a bundle of large ones.
type recent struct {
	mu      sync.Mutex // guards what follows
	entries map[uint64][]byte
	order   []uint64
	bytes   int
}

func (r *recent) put(index uint64, entry []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = map[uint64][]byte{}
	}
	r.entries[index] = entry
	r.order = append(r.order, index)
	r.bytes += len(entry)
	for r.bytes > maxRecent {
		r.bytes -= len(r.entries[r.order[0]])
		delete(r.entries, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *recent) get(index uint64) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.entries[index]
	return entry, ok
}
