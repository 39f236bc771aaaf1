package ingest

import (
	"context"
	"errors"
	"sync"

	"repronet.dev/reading"
)

// duplicates knows the ledger index of every claim, and which claims are being
// written now. Some 40 bytes a claim are kept in memory: a ledger of one year
// and ten million statements takes 400 MB.
type duplicates struct {
	mu      sync.Mutex
	indices map[reading.Key]uint64
	pending map[reading.Key]*pending
}

// pending is a claim on its way into the ledger. index and err are set before
// done is closed.
type pending struct {
	done  chan struct{}
	index uint64
	err   error
}

func newDuplicates() *duplicates {
	return &duplicates{indices: map[reading.Key]uint64{}, pending: map[reading.Key]*pending{}}
}

// add notes a claim that is in the ledger already; the first index stays.
func (d *duplicates) add(key reading.Key, index uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.indices[key]; !known {
		d.indices[key] = index
	}
}

// once runs write for a claim that is not in the ledger, and returns its index;
// for any other it returns the index of the first and true. A claim whose first
// writer fails is free for the next.
func (d *duplicates) once(ctx context.Context, key reading.Key, write func() (uint64, error)) (index uint64, duplicate bool, err error) {
	d.mu.Lock()
	if index, known := d.indices[key]; known {
		d.mu.Unlock()
		return index, true, nil
	}
	if p, busy := d.pending[key]; busy {
		d.mu.Unlock()
		select {
		case <-p.done:
			return p.index, true, p.err
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
	p := &pending{done: make(chan struct{})}
	d.pending[key] = p
	d.mu.Unlock()

	p.err = errWriterDied // if write panics, those who wait are told
	defer d.settle(key, p)
	p.index, p.err = write()
	return p.index, false, p.err
}

// settle ends the wait of those that wait for a claim.
func (d *duplicates) settle(key reading.Key, p *pending) {
	d.mu.Lock()
	delete(d.pending, key)
	if p.err == nil {
		d.indices[key] = p.index
	}
	d.mu.Unlock()
	close(p.done)
}

var errWriterDied = errors.New("the first sender of the claim was not answered")
