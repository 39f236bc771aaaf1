package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
)

// A Replica is a checked copy of a ledger in a directory:
//
//	log/     the ledger, laid out as the original is: checkpoint, tiles, entries, attachments
//	forks/   contradicting checkpoints, should there be any
//	convictions/  proofs that the log signed two histories (ledger.Conviction)
//
// The checkpoint in it is the largest state that was ever verified. One process
// has a replica open at a time. It may be read by several goroutines while one updates it.
type Replica struct {
	// Attachments are those of the copy: what its owner fetched and put there.
	Attachments *ledger.Attachments

	dir   string
	key   note.Verifier
	lock  *os.File
	local *ledger.Reader
	// witnesses must have cosigned what is taken in; nil: nobody must.
	witnesses *ledger.Witnesses

	mu         sync.RWMutex
	checkpoint *ledger.Checkpoint // guarded by mu; nil: empty
}

// Open opens the replica of the log with the key in a directory, which is made if it is not
// there. If another process has it open, it waits. Of the witnesses, as many as they say must
// have cosigned what is taken in; nil: nobody must.
func Open(ctx context.Context, dir string, key note.Verifier, witnesses *ledger.Witnesses) (r *Replica, err error) {
	if err := durable.MkdirAll(filepath.Join(dir, "log"), 0o755); err != nil {
		return nil, err
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
	r = &Replica{dir: dir, key: key, lock: lock, witnesses: witnesses, local: ledger.NewReader(ledger.Dir(filepath.Join(dir, "log")), key)}
	if r.Attachments, err = ledger.OpenAttachments(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	r.checkpoint, err = r.local.Checkpoint(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, r.Damaged(err)
	}
	return r, nil
}

// Close gives the replica up.
func (r *Replica) Close() error { return r.lock.Close() }

// Dir is the directory of the copied log, which others can read as the original.
func (r *Replica) Dir() string { return filepath.Join(r.dir, LogDir) }

// LogDir is where in a replica's directory the copied log is.
const LogDir = "log"

// Damaged tells trouble with the copy from trouble with the log: what is in the
// copy was right when it was written.
func (r *Replica) Damaged(err error) error {
	if _, fork := errors.AsType[*ledger.ForkError](err); fork || !errors.Is(err, ledger.ErrInvalid) {
		return err
	}
	return fmt.Errorf("the mirror on this disk is damaged (%v): remove %s and try again", err, r.dir) //nolint:errorlint // the log is not to blame
}

// Checkpoint is the state that the replica is verified up to; nil if it has none.
func (r *Replica) Checkpoint() *ledger.Checkpoint {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.checkpoint
}

// Tree is the copied ledger. What is read from it is checked again.
func (r *Replica) Tree() *ledger.Tree {
	c := r.Checkpoint()
	if c == nil {
		return r.local.Local(0)
	}
	return r.local.Tree(c)
}

// Local is the first size entries of the copied ledger, which were checked when they were
// written and are not checked again.
func (r *Replica) Local(size uint64) *ledger.Tree { return r.local.Local(size) }

// ErrStale is what [Replica.Fetch] wraps if the log was shown in an older state
// than has been seen. The replica is as good as before.
var ErrStale = errors.New("older than what was seen before")

// Fetch brings what the log's latest checkpoint has more than the replica into its
// directory, after a check that it continues what the replica has, and that the witnesses
// cosigned it. It returns that checkpoint, and the size that the replica had;
// [Replica.Advance] takes them. Errors that convict the log wrap ledger.ErrInvalid; for a
// fork, the two contradicting checkpoints are kept. For want of cosignatures, the error wraps
// ledger.ErrNotCosigned.
//
// progress is told how many entries of how many are there, by one goroutine at a time.
func (r *Replica) Fetch(ctx context.Context, fetch ledger.Fetcher, progress func(done, total uint64)) (latest *ledger.Checkpoint, from uint64, err error) {
	remote := ledger.NewReader(fetch, r.key)
	if latest, err = remote.Checkpoint(ctx); err != nil {
		return nil, 0, err
	}
	if from, err = r.checkContinues(ctx, remote, latest); err != nil {
		if fork, ok := errors.AsType[*ledger.ForkError](err); ok {
			err = r.keepFork(ctx, remote, fork)
		}
		return nil, 0, err
	}
	// A fork without cosignatures convicts the log all the same: so they come second.
	if err := r.checkCosigned(latest, from); err != nil {
		return nil, 0, err
	}
	if latest.Size < from {
		return nil, 0, fmt.Errorf("%w: the log is shown with %d entries, this mirror has %d of it", ErrStale, latest.Size, from)
	}
	if latest.Size > from || r.checkpoint == nil {
		err = remote.Tree(latest).CopyTo(ctx, r.Dir(), from, func(entries uint64) { progress(entries, latest.Size) })
	} else {
		err = r.renew(latest)
	}
	return latest, from, err
}

// Advance makes what [Replica.Fetch] brought the replica's state. What only the state before
// needed stays on disk, for those who read it: see [Replica.Tidy].
func (r *Replica) Advance(latest *ledger.Checkpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checkpoint == nil || latest.Size > r.checkpoint.Size {
		r.checkpoint = latest
	}
}

// Tidy removes from the directory what only a state of size entries needed, which nobody
// reads any more.
func (r *Replica) Tidy(size uint64) error {
	now := r.Checkpoint()
	if now == nil || size >= now.Size {
		return nil
	}
	return ledger.RemovePartials(r.Dir(), size, now.Size)
}

// checkCosigned checks what will be relied on: the latest checkpoint, or that of the
// mirror if it is ahead.
func (r *Replica) checkCosigned(latest *ledger.Checkpoint, from uint64) error {
	if latest.Size < from {
		return r.CheckCosigned()
	}
	_, err := r.witnesses.Check(latest)
	return err
}

// CheckCosigned checks that enough of the pinned witnesses cosigned the mirror's
// state: it may have been taken in before they were pinned.
func (r *Replica) CheckCosigned() error {
	if r.Checkpoint() == nil {
		return nil
	}
	_, err := r.Cosigned()
	return err
}

// Cosigned is the time at which enough of the witnesses had cosigned the replica's state,
// which it must have.
func (r *Replica) Cosigned() (time.Time, error) { return r.witnesses.Check(r.Checkpoint()) }

// renew keeps a checkpoint of the mirror's own state that was cosigned later.
func (r *Replica) renew(latest *ledger.Checkpoint) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, err := r.witnesses.Check(r.checkpoint)
	if at, _ := r.witnesses.Check(latest); err == nil && !at.After(before) {
		return nil
	}
	if err := durable.WriteFile(filepath.Join(r.dir, "log", "checkpoint"), latest.Text, 0o644); err != nil {
		return err
	}
	r.checkpoint = latest
	return nil
}

// checkContinues checks the latest checkpoint against the mirror's, and returns
// the mirror's size.
func (r *Replica) checkContinues(ctx context.Context, remote *ledger.Reader, latest *ledger.Checkpoint) (uint64, error) {
	switch {
	case r.checkpoint == nil:
		return 0, nil
	case latest.Size <= r.checkpoint.Size:
		return r.checkpoint.Size, r.Damaged(r.Tree().CheckContinues(ctx, latest))
	default:
		return r.checkpoint.Size, remote.Tree(latest).CheckContinues(ctx, r.checkpoint)
	}
}

// keepFork saves the proof of a fork and returns an error that names it.
func (r *Replica) keepFork(ctx context.Context, remote *ledger.Reader, fork *ledger.ForkError) error {
	dir := filepath.Join(r.dir, "forks")
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
		tree := r.Tree()
		if fork.New != r.checkpoint {
			tree = remote.Tree(fork.New)
		}
		var proving error
		if proof.Proof, proving = tree.ProveConsistency(ctx, fork.Old.Size); proving != nil {
			return errors.Join(err, proving)
		}
	}
	return r.Convict(&ledger.Conviction{Fork: proof}, err)
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
