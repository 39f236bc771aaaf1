package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/ledger/replica"
)

// A Mirror is a checked copy of a ledger in a directory:
//
//	log/     the ledger, laid out as the original is: checkpoint, tiles, entries
//	index/   which entries speak of which output
//	forks/   contradicting checkpoints, should there be any
//	convictions/  proofs that the log signed two histories (ledger.Conviction)
//
// The checkpoint in it is the largest state that was ever verified. One process
// has a mirror open at a time. Evidence may be asked for by several goroutines
// while one updates the mirror.
type Mirror struct {
	replica *replica.Replica // log, forks and convictions
	before  memory           // of predecessors

	mu    sync.RWMutex // guards what is below, the files that it names, and that the replica is of its state
	index *index
}

// DefaultMirrorDir is where the mirror of a ledger is kept unless the user says
// otherwise: what has been seen of a log is worth more than a cache.
func DefaultMirrorDir(key note.Verifier) (string, error) {
	base := os.Getenv("XDG_DATA_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding a place for the mirror: %w: give one with --mirror", err)
		}
		base = filepath.Join(home, ".local", "share")
	}
	// Two logs can bear one name.
	name := fmt.Sprintf("%s-%08x", strings.ReplaceAll(key.Name(), "/", "_"), key.KeyHash())
	return filepath.Join(base, "repronet", "mirrors", name), nil
}

// OpenMirror opens the mirror of the log with the key in a directory, which is
// made if it is not there. If another process has it open, it waits.
func OpenMirror(ctx context.Context, dir string, key note.Verifier) (m *Mirror, err error) {
	return openMirror(ctx, dir, key, nil)
}

// openMirror is [OpenMirror] where witnesses must have cosigned what is taken in; nil: nobody must.
func openMirror(ctx context.Context, dir string, key note.Verifier, witnesses *ledger.Witnesses) (m *Mirror, err error) {
	m = &Mirror{}
	if err = durable.MkdirAll(filepath.Join(dir, "index"), 0o755); err == nil {
		m.replica, err = replica.Open(ctx, dir, key, witnesses)
	}
	if err != nil {
		return nil, fmt.Errorf("opening mirror in %s: %w", dir, err)
	}
	m.index, err = openIndex(filepath.Join(dir, "index"))
	if err == nil && m.Checkpoint() == nil {
		err = m.index.reset()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening mirror in %s: %w", dir, err), m.replica.Close())
	}
	return m, nil
}

// Remade reports that another version of this program made the index of outputs in the
// mirror, by other rules: what it says was dropped, and the next [Mirror.Update] or
// [Mirror.Index] makes it anew from the entries.
func (m *Mirror) Remade() bool { return m.index.remade }

// Close gives the mirror up.
func (m *Mirror) Close() error { return errors.Join(m.index.settled(), m.replica.Close()) }

// Checkpoint is the state that the mirror is verified up to; nil if it has none.
func (m *Mirror) Checkpoint() *ledger.Checkpoint { return m.replica.Checkpoint() }

// Tree is the mirrored ledger. What is read from it is checked again.
func (m *Mirror) Tree() *ledger.Tree { return m.replica.Tree() }

// CheckCosigned checks that enough of the pinned witnesses cosigned the mirror's
// state: it may have been taken in before they were pinned.
func (m *Mirror) CheckCosigned() error { return m.replica.CheckCosigned() }

// Convict saves a proof that the log signed two histories, and returns reason as an
// error that names the file.
func (m *Mirror) Convict(c *ledger.Conviction, reason error) error {
	return m.replica.Convict(c, reason)
}

// Progress tells how much of some work is done, in entries. It is called by one
// goroutine at a time, often.
type Progress func(work string, done, total uint64)

// ErrStale is what [Mirror.Update] wraps if the log was shown in an older state
// than has been seen. The mirror is as good as before.
var ErrStale = replica.ErrStale

// Update extends the mirror to the log's latest checkpoint, after a check that
// it continues what the mirror has, and that the pinned witnesses cosigned it.
// Errors that convict the log wrap ledger.ErrInvalid; for a fork, the two
// contradicting checkpoints are kept. For want of cosignatures, the error wraps
// ledger.ErrNotCosigned. If the ledger has entries that only a newer program reads, the
// mirror is extended all the same, and the error wraps reading.ErrNewerRules. So it is
// where the text of a document cannot be had; each later Update asks for it again.
func (m *Mirror) Update(ctx context.Context, fetch ledger.Fetcher, progress Progress) error {
	latest, from, err := m.replica.Fetch(ctx, fetch, func(done, total uint64) { progress("fetching", done, total) })
	if err != nil {
		return fmt.Errorf("updating mirror: %w", err)
	}
	// First the texts, for whoever asks while the index grows.
	lacking, err := m.fetchTexts(ctx, fetch, m.replica.Local(latest.Size))
	if err != nil {
		return fmt.Errorf("updating mirror: %w", err)
	}
	if err := m.grow(ctx, latest, from, progress); err != nil {
		return err
	}
	if err := m.keepTexts(lacking); err != nil {
		return fmt.Errorf("updating mirror: %w", err)
	}
	return nil
}

// ErrTooOld is what [Mirror.CheckAge] wraps if the newest state is too old.
var ErrTooOld = errors.New("the ledger has not been seen alive for too long")

// ErrAhead is what [Mirror.CheckAge] wraps if the newest state is dated ahead of this
// machine's clock: how old it is cannot be known then. A log whose clock is ahead, or
// that lies, would be fresh for as long as that.
var ErrAhead = errors.New("the ledger's newest state is dated ahead of this machine's clock")

// MaxAhead is how far the clocks of a log and of a witness may be ahead of this
// machine's.
const MaxAhead = 15 * time.Minute

// CheckAhead refuses a time that is ahead of this machine's clock.
func CheckAhead(at time.Time) error {
	if ahead := time.Until(at); ahead > MaxAhead {
		return fmt.Errorf("%w: it is of %s, in %v: one of the clocks is wrong", ErrAhead, at.UTC().Format(time.RFC3339), ahead.Round(time.Second))
	}
	return nil
}

// Alive is the time at which the mirror's state was the ledger's newest for all that
// is proven: when its last entry came in, or its witnesses cosigned it later. The
// ledger commits to its map once a day even when nobody has anything to say, so an
// older one is held back. It is zero for an empty mirror.
func (m *Mirror) Alive(ctx context.Context) (time.Time, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	tree := m.Tree()
	if tree.Size() == 0 {
		return time.Time{}, nil
	}
	record, err := tree.Record(ctx, tree.Size()-1)
	if err != nil {
		return time.Time{}, m.replica.Damaged(err)
	}
	entry, err := record.Entry()
	if err != nil {
		return time.Time{}, err
	}
	alive := entry.ReceivedAt
	// A witness whose clock is ahead proves nothing about the age.
	if cosigned, err := m.replica.Cosigned(); err == nil && cosigned.After(alive) && CheckAhead(cosigned) == nil {
		alive = cosigned
	}
	return alive, nil
}

// CheckAge refuses a ledger that was not alive for longer than maxAge, as an
// aggregator shows that holds back what is new, and one that is dated ahead. 0 accepts
// any.
func (m *Mirror) CheckAge(ctx context.Context, maxAge time.Duration) error {
	alive, err := m.Alive(ctx)
	if err != nil || maxAge == 0 || alive.IsZero() {
		return err
	}
	if err := CheckAhead(alive); err != nil {
		return err
	}
	if time.Since(alive) > maxAge {
		return fmt.Errorf("%w: its newest state is of %s, longer ago than %v (--max-age): news may be held back",
			ErrTooOld, alive.UTC().Format(time.RFC3339), maxAge)
	}
	return nil
}

// grow makes a state that was copied that of the mirror, which had from entries, and
// indexes it.
func (m *Mirror) grow(ctx context.Context, latest *ledger.Checkpoint, from uint64, progress Progress) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replica.Advance(latest)
	if err := m.replica.Tidy(from); err != nil { // whoever reads the mirror holds mu
		return fmt.Errorf("updating mirror: %w", err)
	}
	return m.extendIndex(ctx, progress)
}

// Index brings the index of outputs up to the mirror's state.
func (m *Mirror) Index(ctx context.Context, progress Progress) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.extendIndex(ctx, progress)
}

func (m *Mirror) extendIndex(ctx context.Context, progress Progress) error {
	err := m.index.extend(ctx, m.Tree(), progress)
	if err == nil {
		err = m.erase(ctx)
	}
	if err == nil {
		err = m.index.newer
	}
	if err != nil {
		return fmt.Errorf("indexing mirror: %w", m.replica.Damaged(err))
	}
	return nil
}
