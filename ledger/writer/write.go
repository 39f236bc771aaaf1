package writer

import (
	"context"
	"fmt"
	"os"
	"time"

	"repronet.dev/ledger"
)

const (
	// maxBatch bounds the entries of a batch: four full bundles, 64 MiB at most.
	maxBatch = 1024
	// batchAge is how long the first entry of a batch waits for others to come.
	batchAge = 5 * time.Millisecond
)

// pending is an entry on its way.
type pending struct {
	entry ledger.Packed
	done  chan struct{} // closed when index and err are set
	index uint64
	err   error
}

// Append puts an entry into the log and returns its index, when the entry is on
// disk and part of the tree. The error wraps [ledger.ErrTooLarge] for a body
// that no entry can hold, and [ledger.ErrUnavailable] while nothing can be written.
// After any other error than the first, such as the context's end, the entry may be
// in the log or not.
func (l *Log) Append(ctx context.Context, kind ledger.Kind, body []byte) (index uint64, err error) {
	entry, err := ledger.Pack(kind, body)
	if err != nil {
		return 0, fmt.Errorf("appending %s: %w", kind, err)
	}
	return l.AppendPacked(ctx, entry)
}

// AppendPacked is [Log.Append] of an entry whose body is compressed.
func (l *Log) AppendPacked(ctx context.Context, entry ledger.Packed) (index uint64, err error) {
	p := &pending{entry: entry, done: make(chan struct{})}
	select {
	case l.incoming <- p:
	case <-l.closing:
		return 0, fmt.Errorf("appending %s: %w", entry.Kind(), ErrClosed)
	case <-ctx.Done():
		return 0, fmt.Errorf("appending %s: %w", entry.Kind(), ctx.Err())
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("appending %s: %w", entry.Kind(), ctx.Err())
	}
	if p.err != nil {
		return 0, fmt.Errorf("appending %s: %w", entry.Kind(), p.err)
	}
	return p.index, nil
}

// write commits batch after batch until the log is closed. last is when the last
// entry came in. While there is trouble, it looks now and then whether that is over.
func (l *Log) write(last time.Time) {
	defer close(l.written)
	retry := time.NewTicker(retryInterval)
	defer retry.Stop()
	clockIsRight := l.config.ClockIsRight
	for {
		select {
		case first := <-l.incoming:
			batch := l.gather(first)
			now := l.config.Now()
			err := l.trouble.of(writing)
			if err == nil && !clockIsRight {
				err = checkAhead(last, now)
				l.trouble.note(theClock, err)
			}
			if err == nil {
				if now.After(last) {
					last = now
				}
				err = l.commit(batch, last)
				clockIsRight = clockIsRight && err != nil
				l.trouble.note(writing, err)
			}
			answer(batch, err)
		case <-retry.C:
			if l.trouble.of(writing) != nil {
				l.trouble.note(writing, l.reset())
			}
			if l.trouble.of(theClock) != nil {
				l.trouble.note(theClock, checkAhead(last, l.config.Now()))
			}
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

// commit writes a batch: first what becomes complete, then what does not, the state
// last. Until that is done, the tree is the one before: a batch that fails halfway
// is in no tree that is signed.
func (l *Log) commit(batch []*pending, receivedAt time.Time) error {
	if err := l.samePlace(); err != nil {
		return err
	}
	before, _ := l.tree.get()
	grown := before.clone()
	var files []file
	encoded := make([][]byte, len(batch))
	for i, p := range batch {
		encoded[i] = p.entry.Encode(receivedAt)
		p.index = grown.size
		grown.add(encoded[i], func(f file) { files = append(files, f) })
	}
	files = append(files, grown.newPartials(before)...)
	if err := l.disk.write(files); err != nil {
		return err
	}
	if err := l.disk.writeState(grown.size, grown.root()); err != nil {
		return err
	}
	for i, p := range batch {
		l.recent.put(p.index, encoded[i])
	}
	l.tree.set(grown)
	return nil
}

// answer tells the appends of a batch what became of it.
func answer(batch []*pending, err error) {
	for _, p := range batch {
		if err != nil {
			p.err = fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
		}
		close(p.done)
	}
}

// reset brings the directory back to the tree in memory, which is what is signed:
// after a batch that failed, some of its files may be there.
func (l *Log) reset() error {
	if err := l.samePlace(); err != nil {
		return err
	}
	e, _ := l.tree.get()
	if err := l.disk.tidy(e); err != nil {
		return err
	}
	return l.disk.settle(e)
}

// samePlace checks that the directory is still the one that was opened: another may
// be there when a file system was unmounted.
func (l *Log) samePlace() error {
	now, err := os.Stat(l.config.Dir)
	if err != nil {
		return err
	}
	if !os.SameFile(now, l.place) {
		return fmt.Errorf("%s is not the directory that was opened: is its file system mounted?", l.config.Dir)
	}
	return nil
}
