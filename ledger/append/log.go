package append

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"k8s.io/klog/v2"

	"repronet/internal/durable"
	"repronet/ledger"
)

// Config says how to write a log.
type Config struct {
	// Dir is the log's directory, made if it is not there. What is in its
	// hidden subdirectories is private; everything else is the public log.
	Dir string
	// Key signs checkpoints, see [LoadOrCreateKey].
	Key *Key
	// CheckpointInterval is how long an entry waits for a published checkpoint
	// at most: one second if zero, at least 200 ms.
	CheckpointInterval time.Duration
	// Witnesses is a policy in the form of Sigsum: lines "witness NAME VKEY URL",
	// "group NAME N|any|all MEMBER…" and "quorum NAME". Each of them is asked to
	// cosign every checkpoint (C2SP tlog-witness), until the quorum has. A
	// checkpoint waits for them for two seconds at most. None if empty.
	Witnesses []byte
	// Logger gets what the writer has to say; none if nil.
	Logger *slog.Logger
}

// ErrLocked is what [Open] wraps if another process writes the log already.
var ErrLocked = errors.New("another process writes this log")

// ErrClosed is what a log's methods wrap after [Log.Close].
var ErrClosed = errors.New("the log is closed")

// A Log is an open log. Its methods may be called from several goroutines.
type Log struct {
	logger   *slog.Logger
	lock     *os.File
	reader   *ledger.Reader
	appender *tessera.Appender
	shutdown func(context.Context) error // waits for a last checkpoint
	cancel   context.CancelFunc          // ends Tessera's goroutines and follow

	incoming chan *pending   // to write; unbuffered, so that none is left behind
	closing  chan struct{}   // closed when Close begins
	written  chan struct{}   // closed when write has ended
	ended    <-chan struct{} // closed by cancel
	followed chan struct{}   // closed when follow has ended
	once     sync.Once       // of Close

	size       watched[uint64]             // durable and in the tree
	checkpoint watched[*ledger.Checkpoint] // published last
	recent     recent
}

// Open opens a log for writing. The context is for opening only.
func Open(ctx context.Context, config Config) (log *Log, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening log in %s: %w", config.Dir, err)
		}
	}()
	if config.Key == nil {
		return nil, errors.New("no key is given")
	}
	if config.CheckpointInterval == 0 {
		config.CheckpointInterval = time.Second
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	lock, err := lockDir(config.Dir)
	if err != nil {
		return nil, err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			cancel()
			err = errors.Join(err, lock.Close())
		}
	}()
	routeTesseraLog(config.Logger)
	if err := notFromTheFuture(filepath.Join(config.Dir, "checkpoint"), time.Now()); err != nil {
		return nil, err
	}
	driver, err := posix.New(background, posix.Config{Path: config.Dir, HTTPClient: witnessClient()})
	if err != nil {
		return nil, err
	}
	l := &Log{
		logger: config.Logger, lock: lock, cancel: cancel, ended: background.Done(),
		reader:   ledger.NewReader(ledger.Dir(config.Dir), config.Key.Verifier()),
		incoming: make(chan *pending), closing: make(chan struct{}),
		written: make(chan struct{}), followed: make(chan struct{}),
	}
	signed := make(chan struct{}, 1)
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(announcingSigner{config.Key, signed}).
		// An entry that just misses a checkpoint waits for two of Tessera's.
		WithCheckpointInterval(max(config.CheckpointInterval/2, 100*time.Millisecond)).
		WithBatching(maxBatch, tesseraAge).
		WithGarbageCollectionInterval(15 * time.Second)
	if len(config.Witnesses) > 0 {
		if options, err = withWitnesses(options, config.Witnesses); err != nil {
			return nil, err
		}
	}
	appender, shutdown, tiles, err := tessera.NewAppender(background, driver, options)
	if err != nil {
		return nil, err
	}
	l.appender, l.shutdown = appender, shutdown
	size, err := tiles.IntegratedSize(ctx)
	if err != nil {
		return nil, err
	}
	last, err := l.lastReceivedAt(ctx, size)
	if err != nil {
		return nil, err
	}
	l.size.set(size)
	checkpoint, err := l.reader.Checkpoint(ctx)
	switch {
	case err == nil:
		l.checkpoint.set(checkpoint)
	case !errors.Is(err, os.ErrNotExist): // crashed before the first one
		return nil, err
	}
	go l.write(background, last)
	go l.follow(background, signed)
	return l, nil
}

// lastReceivedAt returns the time of the last entry.
func (l *Log) lastReceivedAt(ctx context.Context, size uint64) (time.Time, error) {
	if size == 0 {
		return time.Time{}, nil
	}
	record, err := l.reader.Local(size).Record(ctx, size-1)
	if err != nil {
		return time.Time{}, err
	}
	entry, err := record.Entry()
	if err != nil {
		return time.Time{}, err
	}
	return entry.ReceivedAt, nil
}

// lockDir makes the directory and takes the lock on it, which the process holds
// until the file is closed.
func lockDir(dir string) (*os.File, error) {
	private := filepath.Join(dir, ".state") // Tessera's, which makes it too
	if err := durable.MkdirAll(private, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(private, "writer.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Size returns the number of entries that are durable and in the tree.
func (l *Log) Size() uint64 {
	size, _ := l.size.get()
	return size
}

// WaitSize waits until the log has more than the given number of entries, and
// returns how many it has.
func (l *Log) WaitSize(ctx context.Context, more uint64) (uint64, error) {
	return wait(ctx, l, &l.size, func(size uint64) bool { return size > more })
}

// Local reads the log's present entries from disk, without waiting for a
// checkpoint and with nothing checked.
func (l *Log) Local() *ledger.Tree { return l.reader.Local(l.Size()) }

// Checkpoint returns the checkpoint that was published last; nil before the
// first.
func (l *Log) Checkpoint() *ledger.Checkpoint {
	c, _ := l.checkpoint.get()
	return c
}

// WaitCheckpoint waits until a checkpoint of at least so many entries is published,
// and returns the newest.
func (l *Log) WaitCheckpoint(ctx context.Context, size uint64) (*ledger.Checkpoint, error) {
	return wait(ctx, l, &l.checkpoint, func(c *ledger.Checkpoint) bool { return c != nil && c.Size >= size })
}

// Close answers the appends that were taken, waits until a published checkpoint
// covers them, and gives the log up. It returns early with an error when the
// context ends; no acknowledged entry is lost by that.
func (l *Log) Close(ctx context.Context) error {
	var err error
	l.once.Do(func() {
		close(l.closing)
		<-l.written
		err = l.shutdown(ctx)
		if last, readErr := l.reader.Checkpoint(ctx); readErr == nil {
			l.checkpoint.set(last) // for the receipts that wait for it
		}
		l.cancel()
		<-l.followed
		err = errors.Join(err, l.lock.Close())
	})
	if err != nil {
		return fmt.Errorf("closing log: %w", err)
	}
	return nil
}

// notFromTheFuture gives a file that was changed later than now the present time:
// Tessera publishes no checkpoint before the last one has a certain age, so a
// clock that was set back would keep it waiting.
func notFromTheFuture(path string, now time.Time) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.ModTime().After(now) {
		err = os.Chtimes(path, now, now)
	}
	return err
}

// tesseraLog is set once, because klog, to which Tessera speaks, is global.
var tesseraLog sync.Once

// routeTesseraLog sends what Tessera says to the logger of the first log that is
// opened.
func routeTesseraLog(logger *slog.Logger) {
	tesseraLog.Do(func() { klog.SetSlogLogger(slog.New(demoted{logger.Handler()})) })
}

// demoted makes information of another's library a debugging matter here.
type demoted struct{ slog.Handler }

func (d demoted) Enabled(ctx context.Context, level slog.Level) bool {
	return d.Handler.Enabled(ctx, demote(level))
}

func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demote(r.Level)
	return d.Handler.Handle(ctx, r)
}

func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs)}
}

func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }

func demote(level slog.Level) slog.Level {
	if level >= slog.LevelWarn {
		return level
	}
	return min(level, slog.LevelDebug)
}
