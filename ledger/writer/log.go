package writer

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

	"k8s.io/klog/v2"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
)

// Config says how to write a log.
type Config struct {
	// Dir is the log's directory, made if it is not there. What is in its
	// hidden subdirectories is private; everything else is the public log.
	Dir string
	// Key signs checkpoints, see [LoadOrCreateKey].
	Key *Key
	// CheckpointInterval is how long an entry waits for a published checkpoint
	// at most: one second if zero, at least 100 ms.
	CheckpointInterval time.Duration
	// Witnesses is a policy in the form of Sigsum: lines "witness NAME VKEY URL",
	// "group NAME N|any|all MEMBER…" and "quorum NAME". Each of them is asked to
	// cosign every checkpoint (C2SP tlog-witness), until the quorum has. A
	// checkpoint waits for them for two seconds at most. None if empty.
	Witnesses []byte
	// Known, if it is not nil, tells states of this log that others know. It is
	// called while the log is opened, when no other process writes it. A log that
	// lacks one of them is not opened.
	Known func(context.Context) []Tree
	// ClockIsRight has the log opened although its last entry is of another time
	// than now, see [ClockError].
	ClockIsRight bool
	// Now is the clock: time.Now if nil. With another one tests write logs of other
	// times.
	Now func() time.Time
	// Logger gets what the writer has to say; none if nil.
	Logger *slog.Logger
}

// ErrLocked is what [Open] wraps if another process writes the log already.
var ErrLocked = errors.New("another process writes this log")

// ErrClosed is what a log's methods wrap after [Log.Close].
var ErrClosed = errors.New("the log is closed")

// A Log is an open log. Its methods may be called from several goroutines.
type Log struct {
	config Config
	logger *slog.Logger
	lock   *os.File
	place  os.FileInfo // of the directory, as it was opened
	disk   disk
	reader *ledger.Reader
	sign   signFunc
	cancel context.CancelFunc // ends publish

	incoming  chan *pending   // to write; unbuffered, so that none is left behind
	closing   chan struct{}   // closed when Close begins
	written   chan struct{}   // closed when write has ended
	ended     <-chan struct{} // closed by cancel
	published chan struct{}   // closed when publish has ended
	once      sync.Once       // of Close

	tree       watched[*edge]              // durable; what it holds never changes
	checkpoint watched[*ledger.Checkpoint] // published last
	recent     recent
	trouble    trouble
}

// Open opens a log for writing, after a proof that its files are one history, which
// continues what was signed: see recover.go. It mends what follows from the entries.
// If that is not enough, the error is a [*DamageError], and nothing is changed. The
// context is for opening only.
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
	config.CheckpointInterval = max(config.CheckpointInterval, 100*time.Millisecond)
	if config.Now == nil {
		config.Now = time.Now
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
	l := &Log{
		config: config, logger: config.Logger, lock: lock, cancel: cancel, ended: background.Done(),
		disk:     disk{config.Dir},
		reader:   ledger.NewReader(ledger.Dir(config.Dir), config.Key.Verifier()),
		incoming: make(chan *pending), closing: make(chan struct{}),
		written: make(chan struct{}), published: make(chan struct{}),
		trouble: trouble{logger: config.Logger},
	}
	if l.place, err = os.Stat(config.Dir); err != nil {
		return nil, err
	}
	if l.sign, err = newSigner(config, l.disk); err != nil {
		return nil, err
	}
	var known []Tree
	if config.Known != nil {
		known = config.Known(ctx)
	}
	r := &recovery{disk: l.disk, key: config.Key, say: func(done string) {
		l.logger.WarnContext(ctx, "the ledger was mended", "done", done)
	}}
	if err := r.run(ctx, known); err != nil {
		return nil, err
	}
	last, err := l.lastReceivedAt(ctx, r.edge.size)
	if err != nil {
		return nil, err
	}
	if err := checkClock(last, config.Now()); err != nil && !config.ClockIsRight {
		return nil, err
	}
	l.tree.set(r.edge)
	l.checkpoint.set(r.checkpoint)
	go l.write(last)
	go l.publish(background)
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
	private := filepath.Join(dir, ".state")
	if err := durable.MkdirAll(private, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return flocked(f)
}

// lockName is the file that the process that writes the log holds the lock of.
const lockName = ".state/writer.lock"

func flocked(f *os.File) (*os.File, error) {
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
	e, _ := l.tree.get()
	return e.size
}

// WaitSize waits until the log has more than the given number of entries, and
// returns how many it has.
func (l *Log) WaitSize(ctx context.Context, more uint64) (uint64, error) {
	e, err := wait(ctx, l, &l.tree, func(e *edge) bool { return e.size > more })
	return e.size, err
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
		if size := l.Size(); size > 0 {
			if _, waiting := l.WaitCheckpoint(ctx, size); waiting != nil {
				err = fmt.Errorf("no checkpoint covers the last entries, the next start publishes one: %w", errors.Join(waiting, l.Trouble()))
			}
		}
		l.cancel()
		<-l.published
		err = errors.Join(err, l.lock.Close())
	})
	if err != nil {
		return fmt.Errorf("closing log: %w", err)
	}
	return nil
}

// tesseraLog is set once, because klog, to which Tessera speaks, is global.
var tesseraLog sync.Once

// routeTesseraLog sends what Tessera says of witnesses to the logger of the first log that is
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
