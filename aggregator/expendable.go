package aggregator

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/time/rate"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/internal/chdb"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/reading"
)

// The index is expendable: it holds no truth, so nothing that befalls it stops the
// ledger, submissions or the log's files. Where it cannot be opened or written, it is
// set aside and made anew from the ledger, while the server runs; where the fault is
// the machine's (a full disk, no memory, a database server that is away) it is tried
// again. Pages say so meanwhile, see availability.go.
type indexKeeper struct {
	*view
	dir *engineDir // nil with a ClickHouse server

	mu     sync.Mutex   // held while the index is opened or made anew
	opened bool         // guarded by mu, once the ledger is open
	remade atomic.Int64 // when it was made anew last, in seconds since 1970

	// target is the size of the ledger up to which pages wait; 0: they do not.
	target  atomic.Uint64
	indexed atomic.Uint64
	trouble atomic.Pointer[string] // why it cannot be read; nil: it can

	pace pace // of run alone

	complaints rate.Sometimes // about answers that fail
}

const (
	// indexPatience is for how long indexing fails until the index is made anew.
	indexPatience = 10 * time.Second
	// indexPoll is how often the ledger is asked for news.
	indexPoll = 100 * time.Millisecond
	// indexRetry is how long is waited after a failure: the ledger or ClickHouse may
	// come back.
	indexRetry = 2 * time.Second
	// remakeInterval is how long an index is left alone that was made anew.
	remakeInterval = 5 * time.Minute
	// engineConnections is how many statements the embedded engine runs at once: those
	// of all readers (package http has 6 places, and 2 for exports, which take two each),
	// and as many for indexing and the periodic jobs, which never wait for readers.
	engineConnections = 16
	// indexLag is how far the index may be behind at a start before pages wait.
	indexLag = 20_000
)

// newKeeper prepares what the index is kept in; nothing is opened.
func newKeeper(v *view) (*indexKeeper, error) {
	k := &indexKeeper{view: v, complaints: rate.Sometimes{Interval: time.Minute}}
	var options *clickhouse.Options
	if v.config.ClickHouse != "" {
		var err error
		if options, err = clickHouseServer(v.config.ClickHouse); err != nil {
			return nil, err
		}
	} else {
		k.dir = &engineDir{config: chdb.Config{
			Library: v.config.Engine, Path: filepath.Join(v.config.Data, "index"),
			MaxServerMemory: engineMemory(availableMemory()), Connections: engineConnections, Logger: v.deps.Logger,
		}}
		options = k.dir.options()
	}
	var err error
	v.store, err = store.Unopened(options)
	return k, err
}

// open opens the engine and the store, at a start. What cannot be opened is set aside
// at once; what cannot be opened after that either is left to run. The error is of a
// configuration that can never work.
func (k *indexKeeper) open(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.openStore(ctx)
	if errors.Is(err, chdb.ErrNoLibrary) || errors.Is(err, chdb.ErrUnsupported) {
		return err
	}
	_, inDir := errors.AsType[*fs.PathError](err)
	if err != nil && k.dir != nil && (k.isDamage(err) || inDir && k.hasRoom()) {
		k.deps.Logger.ErrorContext(ctx, "the index cannot be opened", "error", err)
		err = k.renew(ctx)
	}
	if err != nil {
		k.unavailable(ctx, err)
	}
	return nil
}

func (k *indexKeeper) openStore(ctx context.Context) error {
	if k.dir != nil {
		if err := k.dir.open(ctx); err != nil {
			return err
		}
	}
	if err := k.store.Reopen(ctx); err != nil {
		if k.dir != nil {
			err = errors.Join(err, k.dir.close())
		}
		return err
	}
	k.opened = true
	return nil
}

// known tells what the index knows of the ledger, which the ledger must have.
func (k *indexKeeper) known(ctx context.Context) []writer.Tree {
	if !k.opened {
		return nil
	}
	w, err := k.store.Current().Watermark(ctx)
	if err != nil || w.Origin != k.logKey || len(w.Root) != tlog.HashSize {
		return nil
	}
	return []writer.Tree{{Size: w.Size, Root: tlog.Hash(w.Root), Source: "the index beside it"}}
}

// compare has the index made anew if it is of another ledger than the one beside it.
func (k *indexKeeper) compare(ctx context.Context) error {
	w, err := k.store.Current().Watermark(ctx)
	if err != nil || w.Size == 0 {
		return err
	}
	why := ""
	switch size := k.ledger.Size(); {
	case w.Origin != "" && w.Origin != k.logKey:
		why = "it was made from another ledger: " + w.Origin
	case w.Size > size:
		why = fmt.Sprintf("it was made from %d entries, and the ledger has %d", w.Size, size)
	case len(w.Root) == tlog.HashSize:
		root, err := k.ledger.log.Local().Root(ctx, w.Size)
		if err != nil {
			return err
		}
		if !bytes.Equal(root[:], w.Root) {
			why = fmt.Sprintf("it was made from another history: the root of its %d entries differs", w.Size)
		}
	}
	if why == "" {
		return nil
	}
	k.deps.Logger.ErrorContext(ctx, "the index is not of this ledger and is made anew", "why", why)
	return k.store.Renew(ctx)
}

// ready takes note of an index that is open, and of how far pages wait for it.
func (k *indexKeeper) ready(ctx context.Context, remade bool) error {
	if err := k.compare(ctx); err != nil {
		return err
	}
	if err := k.index.Forget(ctx); err != nil { // what it has in memory may be of the tables before
		return err
	}
	w, err := k.store.Current().Watermark(ctx)
	if err != nil {
		return err
	}
	k.indexed.Store(w.Size)
	if size := k.ledger.Size(); size > w.Size && (remade || size-w.Size > indexLag) {
		k.target.Store(size)
	}
	k.trouble.Store(nil)
	return nil
}

// attach makes the index over the store, after the ledger was opened.
func (k *indexKeeper) attach(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.catchingUp()
	config := index.Config{
		Logger: k.deps.Logger, Origin: k.logKey, Root: k.root, Recent: &k.recent,
		Progress: func(indexed, size uint64) { k.indexed.Store(indexed); told(indexed, size) },
	}
	k.index = index.Unread(config, k.store, k.ledger)
	if !k.opened {
		return
	}
	err := k.ready(ctx, false)
	if err == nil {
		var x *index.Index
		if x, err = index.New(ctx, config, k.store, k.ledger); err == nil {
			k.index = x
		}
	}
	if err != nil {
		k.unavailable(ctx, err)
	}
}

func (k *indexKeeper) root(ctx context.Context, size uint64) ([]byte, error) {
	root, err := k.ledger.log.Local().Root(ctx, size)
	return root[:], err
}

// unavailable takes note of an index that cannot be read.
func (k *indexKeeper) unavailable(ctx context.Context, err error) {
	k.deps.Logger.ErrorContext(ctx, "the index cannot be used now", "error", err)
	why := "the index cannot be read now and is tried again"
	k.trouble.Store(&why)
}

// renew sets the directory aside and opens an empty one, or makes an empty generation
// in a server. k.mu is held.
func (k *indexKeeper) renew(ctx context.Context) error {
	k.remade.Store(time.Now().Unix())
	if k.dir == nil {
		return k.store.Renew(ctx)
	}
	k.opened = false
	if err := k.dir.close(); err != nil {
		k.deps.Logger.WarnContext(ctx, "closing the damaged index", "error", err)
	}
	aside, err := k.dir.setAside()
	if err != nil {
		return fmt.Errorf("setting the index aside: %w", err)
	}
	k.deps.Logger.WarnContext(ctx, "the index is made anew from the ledger", "old", aside, "entries", k.sizeNow())
	return k.openStore(ctx)
}

func (k *indexKeeper) sizeNow() uint64 {
	if k.ledger.log == nil {
		return 0
	}
	return k.ledger.Size()
}

// remake makes the index anew while the server runs.
func (k *indexKeeper) remake(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	why := "the index is made anew"
	k.trouble.Store(&why)
	if err := k.renew(ctx); err != nil {
		k.unavailable(ctx, err)
		return err
	}
	return k.ready(ctx, true)
}

// again tries to open an index that is not open.
func (k *indexKeeper) again(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.opened {
		if err := k.openStore(ctx); err != nil {
			return err
		}
	}
	return k.ready(ctx, false)
}

// run keeps the index up to date until ctx ends. It returns no error but for that.
func (k *indexKeeper) run(ctx context.Context) error {
	var failing, complained time.Time
	stopped := false // before an entry that only a newer program can read
	wait := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if k.pace.rests(k.ledger.Size() - min(k.indexed.Load(), k.ledger.Size())) {
			wait = indexPoll
			continue
		}
		err := k.step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		newer := errors.Is(err, reading.ErrNewerRules)
		if newer && !stopped {
			k.deps.Logger.ErrorContext(ctx, "indexing", "error", err)
		}
		stopped = newer
		if wait = indexPoll; newer {
			wait = indexRetry
		}
		if err == nil || newer {
			failing, complained = time.Time{}, time.Time{}
			continue
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		if time.Since(complained) > time.Minute {
			complained = time.Now()
			k.deps.Logger.ErrorContext(ctx, "indexing", "error", err)
		}
		wait = indexRetry
		lost := errors.Is(err, errIndexGone)
		if !lost && (!k.isDamage(err) || time.Since(failing) < indexPatience) || time.Since(time.Unix(k.remade.Load(), 0)) < remakeInterval && !lost {
			continue
		}
		if err := k.remake(ctx); err != nil {
			continue // told already
		}
		failing = time.Time{}
	}
}

var errIndexGone = errors.New("the index's directory was removed")

// step brings the index up to date once.
func (k *indexKeeper) step(ctx context.Context) error {
	if k.dir != nil && k.dir.gone() {
		return errIndexGone
	}
	if k.trouble.Load() != nil {
		if err := k.again(ctx); err != nil {
			return err
		}
	}
	began, from := time.Now(), k.indexed.Load()
	err := k.index.CatchUp(ctx)
	if k.indexed.Load() != from {
		k.pace.worked(time.Since(began))
	}
	if err == nil || errors.Is(err, reading.ErrNewerRules) { // it goes no further
		k.target.Store(0)
	}
	return err
}

// away reports whether an error is of a ClickHouse server that does not answer.
func (k *indexKeeper) away(err error) bool {
	if k.dir != nil {
		return false
	}
	_, ok := errors.AsType[*net.OpError](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn)
}

// lacks reports whether ClickHouse refuses for something that it lacks at the moment.
func lacks(err error) bool {
	exception, ok := errors.AsType[*clickhouse.Exception](err)
	if !ok {
		return false
	}
	switch exception.Code {
	case 159, 173, 202, 241, 243, 252, 394, // time, memory, too much at once, space, cancelled
		164, 192, 194, 497, 516, 236, 242: // what a user may do; a server that stops, or is read-only
		return true
	}
	return false
}

// lacking reports whether an answer fails for what is away or lacking at the moment. It is
// logged once a minute.
func (k *indexKeeper) lacking(ctx context.Context, err error) bool {
	if !k.away(err) && !lacks(err) {
		return false
	}
	k.complaints.Do(func() { k.deps.Logger.ErrorContext(ctx, "reading the index", "error", err) })
	return true
}

// isDamage reports whether an error can be the fault of what the index has stored, so
// that making it anew helps. What the ledger, the disk or the machine lacks does not.
func (k *indexKeeper) isDamage(err error) bool {
	if errors.Is(err, ledger.ErrInvalid) || errors.Is(err, reading.ErrNewerRules) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, lack := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EDQUOT} {
		if errors.Is(err, lack) {
			return false
		}
	}
	if k.away(err) || lacks(err) {
		return false
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return false // of the ledger's files
	}
	text := err.Error()
	for _, lack := range []string{"No space left", "Read-only file system", "Operation not permitted", "Permission denied", "Input/output error", "Too many open files", "Cannot allocate memory"} {
		if strings.Contains(text, lack) {
			return false
		}
	}
	return k.dir == nil || k.hasRoom()
}

// hasRoom reports whether files can be written beside the index.
func (k *indexKeeper) hasRoom() bool {
	f, err := os.CreateTemp(k.config.Data, durable.TemporaryPrefix+"*")
	if err != nil {
		return false
	}
	_, err = f.Write(make([]byte, 1<<20))
	err = errors.Join(err, f.Sync(), f.Close())
	return errors.Join(err, os.Remove(f.Name())) == nil
}

// close closes the store and the engine.
func (k *indexKeeper) close() error {
	err := k.store.Close()
	if k.dir != nil {
		err = errors.Join(err, k.dir.close())
	}
	return err
}
