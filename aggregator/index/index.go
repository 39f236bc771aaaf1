package index

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/enrolment"
	"repronet/ledger"
)

// A Ledger is what the index reads.
type Ledger interface {
	// Size is the number of durable entries.
	Size() uint64
	// Entries yields the entries from ≤ index < to, in order. An entry that
	// cannot be decoded is an error.
	Entries(ctx context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error]
	// Attachment returns the bytes that have a SHA-256. Of one that was erased it
	// may return an error that wraps ledger.ErrErased.
	Attachment(ctx context.Context, sum attestation.Digest) ([]byte, error)
	// Erasures returns the attachments that the entries from ≤ index < to erased.
	Erasures(ctx context.Context, from, to uint64) ([]attestation.Digest, error)
}

// Config says how the index works; it never changes what it says. The zero value
// is usable.
type Config struct {
	// MaxEntries and MaxObservations bound a batch. 0: 10,000 and 65,536.
	MaxEntries      int
	MaxObservations int
	// Poll is how often the ledger is asked whether it has grown. 0: 100 ms.
	Poll time.Duration
	// Progress is called after each batch, if it is not nil.
	Progress func(indexed, size uint64)
	Logger   *slog.Logger
}

// An Index keeps a store up to date with a ledger. Its methods may be called
// concurrently; one at a time writes.
type Index struct {
	config Config
	store  *store.Store
	ledger Ledger

	rebuilding sync.Mutex // held while a generation is made; before mu

	waiting atomic.Int32 // how many wait for mu, to read at rest

	mu   sync.Mutex // held while writing a batch
	fold *fold      // nil after a failure: what it holds may not be written

	roster struct {
		sync.RWMutex
		*enrolment.Roster // of fold, for readers
	}
}

// New reads the state in which the store is.
func New(ctx context.Context, config Config, s *store.Store, l Ledger) (*Index, error) {
	if config.MaxEntries <= 0 {
		config.MaxEntries = 10_000
	}
	if config.MaxObservations <= 0 {
		config.MaxObservations = 65_536
	}
	if config.Poll <= 0 {
		config.Poll = 100 * time.Millisecond
	}
	if config.Progress == nil {
		config.Progress = func(uint64, uint64) {}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	f, err := newFold(ctx, config, s.Current(), l)
	if err != nil {
		return nil, err
	}
	x := &Index{config: config, store: s, ledger: l}
	x.use(f)
	return x, nil
}

func (x *Index) use(f *fold) {
	x.fold = f
	x.roster.Lock()
	defer x.roster.Unlock()
	x.roster.Roster = f.roster
}

// Roster returns the fold of the enrolments and revocations indexed so far. It
// must not be changed.
func (x *Index) Roster() *enrolment.Roster {
	x.roster.RLock()
	defer x.roster.RUnlock()
	return x.roster.Roster
}

// CatchUp indexes what the ledger holds when it is called. If that takes a
// certificate away, whose evidence counted until now, it computes the whole index
// anew, as [Index.Reindex] does.
func (x *Index) CatchUp(ctx context.Context) error {
	err := x.catchUp(ctx)
	if errors.Is(err, errTakenAway) {
		return x.withoutErased(ctx)
	}
	return err
}

func (x *Index) catchUp(ctx context.Context) error {
	size := x.ledger.Size()
	for {
		if more, err := x.batch(ctx, size); err != nil || !more {
			return err
		}
		x.giveWay(ctx)
	}
}

// batch indexes the next batch of the entries before size, if there is one.
func (x *Index) batch(ctx context.Context, size uint64) (more bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fold == nil {
		f, err := newFold(ctx, x.config, x.store.Current(), x.ledger)
		if err != nil {
			return false, err
		}
		x.use(f)
	}
	if x.fold.watermark.Size >= size {
		return false, nil
	}
	if err := x.fold.advance(ctx, size); err != nil {
		x.fold = nil
		return false, err
	}
	return true, nil
}

// retry is how long Run waits after a failure: the ledger or ClickHouse may come
// back.
const retry = 5 * time.Second

// Run follows the ledger until ctx ends. A failure is logged, and what failed
// is tried again: nothing is skipped.
func (x *Index) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wait := x.config.Poll
		if err := x.CatchUp(ctx); err != nil && ctx.Err() == nil {
			x.config.Logger.Error("indexing", "error", err, "retry_in", retry)
			wait = retry
		}
		timer.Reset(wait)
	}
}

// Reindex computes the whole index anew beside the present one, which is read
// and written meanwhile, and then takes its place.
func (x *Index) Reindex(ctx context.Context) error {
	x.rebuilding.Lock()
	defer x.rebuilding.Unlock()
	return x.reindex(ctx)
}

func (x *Index) reindex(ctx context.Context) error {
	tables, err := x.store.NewGeneration(ctx)
	if err != nil {
		return err
	}
	f, err := x.rebuild(ctx, tables)
	if err != nil {
		if discard := x.store.Discard(context.WithoutCancel(ctx), tables); discard != nil {
			x.config.Logger.Warn("removing an unfinished index", "error", discard)
		}
		return fmt.Errorf("reindexing: %w", err)
	}
	defer x.mu.Unlock() // locked by rebuild
	// Pages that compare builders would be empty until the next one.
	if _, err := x.rollUp(ctx, tables, func(_ context.Context, read func() error) error { return read() }); err != nil {
		return errors.Join(fmt.Errorf("reindexing: %w", err), x.store.Discard(context.WithoutCancel(ctx), tables))
	}
	if err := x.store.Swap(ctx, tables); err != nil {
		return fmt.Errorf("reindexing: %w", err)
	}
	x.use(f)
	return nil
}

// rebuild fills the tables. When it succeeds, x.mu is locked.
func (x *Index) rebuild(ctx context.Context, tables *store.Tables) (*fold, error) {
	f, err := newFold(ctx, x.config, tables, x.ledger)
	if err != nil {
		return nil, err
	}
	if err := f.catchUp(ctx); err != nil {
		return nil, err
	}
	x.mu.Lock()
	if err := f.catchUp(ctx); err != nil { // what came meanwhile
		x.mu.Unlock()
		return nil, err
	}
	return f, nil
}
