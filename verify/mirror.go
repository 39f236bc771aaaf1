package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
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
	dir   string
	key   note.Verifier
	lock  *os.File
	local *ledger.Reader
	// witnesses must have cosigned what is taken in; nil: nobody must.
	witnesses   *ledger.Witnesses
	attachments *ledger.Attachments

	mu         sync.RWMutex       // guards what is below and the files that it names
	checkpoint *ledger.Checkpoint // nil: empty
	index      *index
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
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening mirror in %s: %w", dir, err)
		}
	}()
	for _, d := range []string{"log", "index"} {
		if err := durable.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	lock, err := lockFile(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	m = &Mirror{dir: dir, key: key, lock: lock, local: ledger.NewReader(ledger.Dir(filepath.Join(dir, "log")), key)}
	if m.attachments, err = ledger.OpenAttachments(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	m.checkpoint, err = m.local.Checkpoint(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, m.damaged(err)
	}
	m.index, err = openIndex(filepath.Join(dir, "index"))
	if err == nil && m.checkpoint == nil {
		err = m.index.reset()
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// damaged tells trouble with the copy from trouble with the log: what is in the
// copy was right when it was written.
func (m *Mirror) damaged(err error) error {
	if _, fork := errors.AsType[*ledger.ForkError](err); fork || !errors.Is(err, ledger.ErrInvalid) {
		return err
	}
	return fmt.Errorf("the mirror on this disk is damaged (%v): remove %s and try again", err, m.dir) //nolint:errorlint // the log is not to blame
}

func lockFile(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another process that has it open: %w", ctx.Err()), f.Close())
		}
	}
}

// Remade reports that another version of this program made the index of outputs in the
// mirror, by other rules: what it says was dropped, and the next [Mirror.Update] or
// [Mirror.Index] makes it anew from the entries.
func (m *Mirror) Remade() bool { return m.index.remade }

// Close gives the mirror up.
func (m *Mirror) Close() error { return errors.Join(m.index.settled(), m.lock.Close()) }

// Checkpoint is the state that the mirror is verified up to; nil if it has none.
func (m *Mirror) Checkpoint() *ledger.Checkpoint {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.checkpoint
}

// Tree is the mirrored ledger. What is read from it is checked again.
func (m *Mirror) Tree() *ledger.Tree {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.tree()
}

func (m *Mirror) tree() *ledger.Tree {
	if m.checkpoint == nil {
		return m.local.Local(0)
	}
	return m.local.Tree(m.checkpoint)
}

// Progress tells how much of some work is done, in entries. It is called by one
// goroutine at a time, often.
type Progress func(work string, done, total uint64)

// ErrStale is what [Mirror.Update] wraps if the log was shown in an older state
// than has been seen. The mirror is as good as before.
var ErrStale = errors.New("older than what was seen before")

// Update extends the mirror to the log's latest checkpoint, after a check that
// it continues what the mirror has, and that the pinned witnesses cosigned it.
// Errors that convict the log wrap ledger.ErrInvalid; for a fork, the two
// contradicting checkpoints are kept. For want of cosignatures, the error wraps
// ledger.ErrNotCosigned. If the ledger has entries that only a newer program reads, the
// mirror is extended all the same, and the error wraps reading.ErrNewerRules. So it is
// where the text of a document cannot be had; each later Update asks for it again.
func (m *Mirror) Update(ctx context.Context, fetch ledger.Fetcher, progress Progress) error {
	remote := ledger.NewReader(fetch, m.key)
	latest, err := remote.Checkpoint(ctx)
	if err != nil {
		return fmt.Errorf("updating mirror: %w", err)
	}
	from, err := m.checkContinues(ctx, remote, latest)
	if err != nil {
		if fork, ok := errors.AsType[*ledger.ForkError](err); ok {
			err = m.keepFork(ctx, remote, fork)
		}
		return fmt.Errorf("updating mirror: %w", err)
	}
	// A fork without cosignatures convicts the log all the same: so they come second.
	if err := m.checkCosigned(latest, from); err != nil {
		return fmt.Errorf("updating mirror: %w", err)
	}
	if latest.Size < from {
		return fmt.Errorf("updating mirror: %w: the log is shown with %d entries, this mirror has %d of it", ErrStale, latest.Size, from)
	}
	if latest.Size > from || m.checkpoint == nil {
		err = remote.Tree(latest).CopyTo(ctx, filepath.Join(m.dir, "log"), from, func(entries uint64) {
			progress("fetching", entries, latest.Size)
		})
	} else {
		err = m.renew(latest)
	}
	if err != nil {
		return fmt.Errorf("updating mirror: %w", err)
	}
	// First the texts, for whoever asks while the index grows.
	lacking, err := m.fetchTexts(ctx, fetch, m.local.Local(latest.Size))
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

// checkCosigned checks what will be relied on: the latest checkpoint, or that of the
// mirror if it is ahead.
func (m *Mirror) checkCosigned(latest *ledger.Checkpoint, from uint64) error {
	if latest.Size < from {
		return m.CheckCosigned()
	}
	_, err := m.witnesses.Check(latest)
	return err
}

// CheckCosigned checks that enough of the pinned witnesses cosigned the mirror's
// state: it may have been taken in before they were pinned.
func (m *Mirror) CheckCosigned() error {
	c := m.Checkpoint()
	if c == nil {
		return nil
	}
	_, err := m.witnesses.Check(c)
	return err
}

// renew keeps a checkpoint of the mirror's own state that was cosigned later.
func (m *Mirror) renew(latest *ledger.Checkpoint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, err := m.witnesses.Check(m.checkpoint)
	if at, _ := m.witnesses.Check(latest); err == nil && !at.After(before) {
		return nil
	}
	if err := durable.WriteFile(filepath.Join(m.dir, "log", "checkpoint"), latest.Text, 0o644); err != nil {
		return err
	}
	m.checkpoint = latest
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
	tree := m.tree()
	if tree.Size() == 0 {
		return time.Time{}, nil
	}
	record, err := tree.Record(ctx, tree.Size()-1)
	if err != nil {
		return time.Time{}, m.damaged(err)
	}
	entry, err := record.Entry()
	if err != nil {
		return time.Time{}, err
	}
	alive := entry.ReceivedAt
	// A witness whose clock is ahead proves nothing about the age.
	if cosigned, err := m.witnesses.Check(m.checkpoint); err == nil && cosigned.After(alive) && CheckAhead(cosigned) == nil {
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
	if latest.Size > from || m.checkpoint == nil {
		m.checkpoint = latest
		if err := ledger.RemovePartials(filepath.Join(m.dir, "log"), from, latest.Size); err != nil {
			return fmt.Errorf("updating mirror: %w", err)
		}
	}
	return m.extendIndex(ctx, progress)
}

// checkContinues checks the latest checkpoint against the mirror's, and returns
// the mirror's size.
func (m *Mirror) checkContinues(ctx context.Context, remote *ledger.Reader, latest *ledger.Checkpoint) (uint64, error) {
	switch {
	case m.checkpoint == nil:
		return 0, nil
	case latest.Size <= m.checkpoint.Size:
		return m.checkpoint.Size, m.damaged(m.Tree().CheckContinues(ctx, latest))
	default:
		return m.checkpoint.Size, remote.Tree(latest).CheckContinues(ctx, m.checkpoint)
	}
}

// keepFork saves the proof of a fork and returns an error that names it.
func (m *Mirror) keepFork(ctx context.Context, remote *ledger.Reader, fork *ledger.ForkError) error {
	dir := filepath.Join(m.dir, "forks")
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return errors.Join(fork, err)
	}
	var paths []string
	for _, c := range []*ledger.Checkpoint{fork.Old, fork.New} {
		sum := sha256.Sum256(c.Text)
		path := filepath.Join(dir, fmt.Sprintf("%d-%s", c.Size, hex.EncodeToString(sum[:8])))
		if err := durable.WriteFile(path, c.Text, 0o644); err != nil {
			return errors.Join(fork, err)
		}
		paths = append(paths, path)
	}
	err := fmt.Errorf("%w; the two signed checkpoints are kept in %s and %s: show them to the log's operator and to other users of the log", fork, paths[0], paths[1])
	proof := &ledger.Fork{Old: string(fork.Old.Text), New: string(fork.New.Text), Root: fork.Root}
	if fork.Old.Size < fork.New.Size {
		tree := m.Tree()
		if fork.New != m.checkpoint {
			tree = remote.Tree(fork.New)
		}
		var proving error
		if proof.Proof, proving = tree.ProveConsistency(ctx, fork.Old.Size); proving != nil {
			return errors.Join(err, proving)
		}
	}
	return m.Convict(&ledger.Conviction{Fork: proof}, err)
}

// Index brings the index of outputs up to the mirror's state.
func (m *Mirror) Index(ctx context.Context, progress Progress) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.extendIndex(ctx, progress)
}

func (m *Mirror) extendIndex(ctx context.Context, progress Progress) error {
	err := m.index.extend(ctx, m.tree(), progress)
	if err == nil {
		err = m.erase(ctx)
	}
	if err == nil {
		err = m.index.newer
	}
	if err != nil {
		return fmt.Errorf("indexing mirror: %w", m.damaged(err))
	}
	return nil
}
