package index

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
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
	// Root returns the root hash of the ledger's first size entries, and Origin is its
	// key: what the index notes of the ledger that it is made from. Nil: nothing.
	Root   func(ctx context.Context, size uint64) ([]byte, error)
	Origin string
	// Recent are statements that were opened a moment ago; nil: none.
	Recent *reading.Recent
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

	rebuilding sync.Mutex // held while a generation is made; before writing

	newer atomic.Pointer[reading.NewerError] // see Newer

	// writing is held while a batch is written. Who waits for it gets it in the order in
	// which they came, so that a reader at rest comes before the next batch.
	writing *semaphore.Weighted
	fold    *fold // guarded by writing; nil after a failure: what it holds may not be written

	roster struct {
		sync.RWMutex
		*enrolment.Roster // of fold, for readers
	}
}

// New reads the state in which the store is.
func New(ctx context.Context, config Config, s *store.Store, l Ledger) (*Index, error) {
	x := Unread(config, s, l)
	if err := x.read(ctx); err != nil {
		return nil, err
	}
	return x, nil
}

// Unread returns an index whose store cannot be read yet: the state is read when it
// is first brought up to date.
func Unread(config Config, s *store.Store, l Ledger) *Index {
	if config.MaxEntries <= 0 {
		config.MaxEntries = 10_000
	}
	if config.MaxObservations <= 0 {
		config.MaxObservations = 65_536
	}
	if config.Progress == nil {
		config.Progress = func(uint64, uint64) {}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	x := &Index{config: config, store: s, ledger: l, writing: semaphore.NewWeighted(1)}
	x.roster.Roster = enrolment.NewRoster()
	return x
}

// read reads the state in which the store is. Tables of an earlier version that cannot
// be completed are replaced by empty ones.
func (x *Index) read(ctx context.Context) error {
	f, err := newFold(ctx, x.config, x.store.Current(), x.ledger)
	if errors.Is(err, errUnfillable) {
		x.config.Logger.WarnContext(ctx, "computing the index anew", "reason", err)
		f, err = beginAnew(ctx, x.config, x.store, x.ledger)
	}
	if err != nil {
		return err
	}
	x.use(f)
	return nil
}

// beginAnew puts an empty generation in the place of the current one.
func beginAnew(ctx context.Context, config Config, s *store.Store, l Ledger) (*fold, error) {
	if err := s.Renew(ctx); err != nil {
		return nil, err
	}
	return newFold(ctx, config, s.Current(), l)
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
	}
}

// batch indexes the next batch of the entries before size, if there is one.
func (x *Index) batch(ctx context.Context, size uint64) (more bool, err error) {
	if err := x.writing.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer x.writing.Release(1)
	if x.fold == nil {
		if err := x.read(ctx); err != nil {
			return false, err
		}
	}
	if x.fold.watermark.Size >= size {
		return false, nil
	}
	err = x.fold.advance(ctx, size)
	newer, stopped := errors.AsType[*reading.NewerError](err)
	x.newer.Store(newer)
	switch {
	case stopped: // before anything was changed
		return false, err
	case err != nil:
		x.fold = nil
		return false, err
	}
	return true, nil
}

// Newer says why the index ends before the ledger does: at an entry that only a newer
// program can read. It is nil if that is not so.
func (x *Index) Newer() error {
	if newer := x.newer.Load(); newer != nil {
		return newer
	}
	return nil
}

// Forget forgets what the index has in memory: its store was opened anew.
func (x *Index) Forget(ctx context.Context) error {
	if err := x.writing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer x.writing.Release(1)
	x.fold = nil
	return nil
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
	old, err := x.replace(ctx, tables, f)
	if err != nil {
		return fmt.Errorf("reindexing: %w", err)
	}
	return x.store.Retire(ctx, old) // may wait for readers, while indexing goes on
}

// replace puts what rebuild made in the place of the present index, which it
// returns.
func (x *Index) replace(ctx context.Context, tables *store.Tables, f *fold) (*store.Tables, error) {
	defer x.writing.Release(1) // acquired by rebuild
	// Pages that compare builders would be empty until the next one.
	if _, err := x.rollUp(ctx, tables, func(_ context.Context, read func() error) error { return read() }); err != nil {
		return nil, errors.Join(err, x.store.Discard(context.WithoutCancel(ctx), tables))
	}
	old, err := x.store.Replace(ctx, tables)
	if err != nil {
		return nil, err
	}
	x.use(f)
	return old, nil
}

// rebuild fills the tables, up to the first entry that only a newer program can read.
// When it succeeds, x.writing is held.
func (x *Index) rebuild(ctx context.Context, tables *store.Tables) (*fold, error) {
	f, err := newFold(ctx, x.config, tables, x.ledger)
	if err != nil {
		return nil, err
	}
	if err := f.catchUp(ctx); err != nil && !errors.Is(err, reading.ErrNewerRules) {
		return nil, err
	}
	if err := x.writing.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	if err := f.catchUp(ctx); err != nil && !errors.Is(err, reading.ErrNewerRules) { // what came meanwhile
		x.writing.Release(1)
		return nil, err
	}
	return f, nil
}
