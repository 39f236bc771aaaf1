package reading

import (
	"crypto/sha256"
	"sync"
	"time"

	"repronet.dev/attestation"
)

// Recent holds statements whose bundles were opened a moment ago, so that the next reader of
// the same bytes need not check the same signature again. What depends on the reader is never
// taken from it: whether the builder is known, its key valid, and the ledger one of those
// that the statement is for.
//
// It is bounded: what finds no room is opened by the next reader, as if it had not been here.
// Its methods may be called concurrently, also of nil, which holds nothing.
type Recent struct {
	mu         sync.Mutex
	statements map[attestation.Digest]recent // by the SHA-256 of the bundle
	size       int                           // of the bundles
}

type recent struct {
	statement *Statement
	size      int
	at        time.Time
}

const (
	// recentSize bounds the bundles whose statements are held, in bytes; a statement takes
	// about three times as much.
	recentSize = 16 << 20
	// recentAge is how long a statement that nobody took is held at least.
	recentAge = 30 * time.Second
)

// Put holds what a [Reader] made of a bundle by a builder's key, until it is taken.
func (r *Recent) Put(bundle []byte, s *Statement) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.size+len(bundle) > recentSize {
		r.forget(now)
	}
	if r.size+len(bundle) > recentSize {
		return
	}
	if r.statements == nil {
		r.statements = map[attestation.Digest]recent{}
	}
	sum := attestation.Digest(sha256.Sum256(bundle))
	r.size += len(bundle) - r.statements[sum].size
	r.statements[sum] = recent{s, len(bundle), now}
}

// forget lets those go that nobody took in time: a reader that is behind takes the oldest
// first, so they stay for it as long as may be.
func (r *Recent) forget(now time.Time) {
	for sum, held := range r.statements {
		if now.Sub(held.at) > recentAge {
			r.size -= held.size
			delete(r.statements, sum)
		}
	}
}

// take returns the statement of a bundle, if it is held, and holds it no longer.
func (r *Recent) take(bundle []byte) *Statement {
	if r == nil {
		return nil
	}
	sum := attestation.Digest(sha256.Sum256(bundle))
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.statements[sum]
	r.size -= held.size
	delete(r.statements, sum)
	return held.statement
}

// opened returns what the bundle says if it was opened a moment ago and its builder's key is
// valid for this reader too; nil: it has to be opened, which says why not.
func (r *Reader) opened(bundle []byte, at time.Time) *Statement {
	held := r.recent.take(bundle)
	if held == nil {
		return nil
	}
	key, err := r.roster.Lookup(held.Builder)
	if err != nil || key.PublicKey == nil || key.Builder() != held.Builder || key.CheckValid(at) != nil {
		return nil
	}
	builder, ok := r.roster.Builder(held.Builder)
	if !ok {
		return nil
	}
	s := *held
	s.Number = builder.Number
	return &s
}
