package ingest

import (
	"context"
	"crypto/sha256"
	"sync"

	"repronet/attestation"
	"repronet/signing"
)

// claimKey identifies a claim: the first 16 bytes of
// SHA-256(builder ‖ SHA-256(payload)).
type claimKey [16]byte

func newClaimKey(builder signing.BuilderID, payload attestation.Digest) claimKey {
	h := sha256.New()
	h.Write([]byte(builder))
	h.Write(payload[:])
	var sum [sha256.Size]byte
	return claimKey(h.Sum(sum[:0])[:16])
}

// duplicates knows the ledger index of every claim, and which claims are being
// written now. Some 40 bytes a claim are kept in memory: a ledger of one year
// and ten million statements takes 400 MB.
type duplicates struct {
	mu      sync.Mutex
	indices map[claimKey]uint64
	pending map[claimKey]*pending
}

// pending is a claim on its way into the ledger. index and err are set before
// done is closed.
type pending struct {
	done  chan struct{}
	index uint64
	err   error
}

func newDuplicates() *duplicates {
	return &duplicates{indices: map[claimKey]uint64{}, pending: map[claimKey]*pending{}}
}

// add notes a claim that is in the ledger already; the first index stays.
func (d *duplicates) add(key claimKey, index uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.indices[key]; !known {
		d.indices[key] = index
	}
}

// once runs write for a claim that is not in the ledger, and returns its index;
// for any other it returns the index of the first and true. A claim whose first
// writer fails is free for the next.
func (d *duplicates) once(ctx context.Context, key claimKey, write func() (uint64, error)) (index uint64, duplicate bool, err error) {
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

	p.index, p.err = write()

	d.mu.Lock()
	delete(d.pending, key)
	if p.err == nil {
		d.indices[key] = p.index
	}
	d.mu.Unlock()
	close(p.done)
	return p.index, false, p.err
}
