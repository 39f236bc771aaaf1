package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/signing"
)

// ErrLocked is wrapped by [Spool.Lock] when another process is the writer.
var ErrLocked = errors.New("another repronet-reporter run is at work")

// A Writer is the one process that turns records into statements and settles
// them. It is not safe for concurrent use.
type Writer struct {
	*Spool
	lock  *os.File
	state *state
	// outbox holds the name of each file there, and what a new statement must
	// know of it.
	outbox map[string]*Item
	// unchained tells that a keyless builder signs.
	unchained bool
	audience  []string // of new statements; see Address
}

// An Item is a signed statement in the outbox.
type Item struct {
	Stream   string             `json:"stream"`
	Sequence uint64             `json:"sequence"`
	Payload  attestation.Digest `json:"payload"` // SHA-256 of the statement
	// Records are the names of the queue files that the statement carries.
	Records []string             `json:"records"`
	Skipped []attestation.Digest `json:"skipped,omitempty"`
	Outputs uint64               `json:"outputs"`
	// Private are outputs of the records that were left out, in files of releases
	// that retained none.
	Private uint64    `json:"private,omitzero"`
	Sealed  time.Time `json:"sealed"`
	Bundle  []byte    `json:"bundle,omitempty"`
	// Reason is why the aggregator refused it, only in refused/.
	Reason string `json:"reason,omitempty"`
	// Again tells that the ledger had it once and lost it: it is counted already.
	Again bool `json:"again,omitzero"`
}

// maxItemSize bounds an outbox file in bytes: a bundle that fits a ledger entry
// (compressed) and the names of its records.
const maxItemSize = 16 << 20

// name is the item's file name.
func (i *Item) name() string { return fmt.Sprintf("%s-%012d.json", i.Stream, i.Sequence) }

// StreamOf returns the stream of the statement in a file of the outbox.
func StreamOf(name string) string {
	stream, _, _ := strings.Cut(name, "-")
	return stream
}

// Lock makes this process the spool's writer, and finishes what one that died
// had begun. The error wraps [ErrLocked] while there is another.
func (s *Spool) Lock() (*Writer, error) {
	for _, dir := range []string{retainedDir, sentDir} { // which older releases did not have
		if err := durable.MkdirAll(filepath.Join(s.dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("locking spool: %w", err)
		}
	}
	path := filepath.Join(s.dir, "lock")
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking spool: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = fmt.Errorf("locking spool %s: %w", s.dir, ErrLocked)
		return nil, errors.Join(err, lock.Close())
	}
	w := &Writer{Spool: s, lock: lock, outbox: make(map[string]*Item)}
	if err := w.withRoom(w.recover); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return w, nil
}

// Close lets another process be the writer.
func (w *Writer) Close() error { return w.lock.Close() }

func (w *Writer) recover() error {
	var err error
	w.state, err = w.readState()
	if errors.Is(err, fs.ErrNotExist) {
		w.state = newState()
		err = w.writeState(w.state)
	}
	if err != nil {
		return err
	}
	if err := w.remove(w.state.Remove); err != nil {
		return err
	}
	names, err := w.list(outboxDir)
	if err != nil {
		return err
	}
	var carried []string
	for _, name := range names {
		item, err := w.readItem(outboxDir, name)
		if err != nil {
			if err := w.abandonChain(name, err); err != nil {
				return err
			}
			continue
		}
		item.Bundle = nil
		w.outbox[name] = item
		for _, record := range item.Records {
			carried = append(carried, filepath.Join(queueDir, record))
		}
	}
	if err := w.remove(carried); err != nil {
		return err
	}
	return w.sweep()
}

// abandonChain sets a damaged statement aside. Its successor could not name it,
// so a new chain begins.
func (w *Writer) abandonChain(name string, reason error) error {
	if err := w.newChain(w.state.Builder); err != nil {
		return err
	}
	return w.quarantine(outboxDir, name, reason)
}

func (w *Writer) newChain(builder signing.BuilderID) error {
	next := *w.state
	next.Stream, next.Next, next.Previous, next.Skipped = newState().Stream, 0, attestation.Digest{}, nil
	next.Builder = builder
	return w.commit(&next)
}

// SignAs says who signs from now on. A chain is one builder's, so another builder
// begins a new one. Statements of the old one stay in the outbox as they are.
func (w *Writer) SignAs(builder signing.BuilderID) error {
	if w.state.Builder == builder {
		return nil
	}
	return w.withRoom(func() error {
		if w.state.Builder != "" {
			return w.newChain(builder)
		}
		next := *w.state
		next.Builder = builder
		return w.commit(&next)
	})
}

// Unchain says that a keyless builder signs from now on: its statements are in no
// chain.
func (w *Writer) Unchain() { w.unchained = true }

// Address says in which ledger alone the statements count that are made from now on, by its
// origin. Without it they count in all.
func (w *Writer) Address(origin string) { w.audience = []string{origin} }

// sweep deletes temporary files of processes that died. An hour is more than a
// write takes.
func (w *Writer) sweep() error {
	for _, dir := range []string{".", queueDir, retainedDir, outboxDir, refusedDir, sentDir} {
		if err := durable.Sweep(filepath.Join(w.dir, dir), time.Hour); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes files of the spool, each "directory/name", durably.
func (w *Writer) remove(names []string) error {
	dirs := make(map[string]struct{})
	for _, name := range names {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("removing from spool: %q is no file of it", name)
		}
		err := os.Remove(filepath.Join(w.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("removing from spool: %w", err)
		}
		dirs[filepath.Dir(name)] = struct{}{}
	}
	for dir := range dirs {
		if err := durable.SyncDir(filepath.Join(w.dir, dir)); err != nil {
			return fmt.Errorf("removing from spool: %w", err)
		}
	}
	return nil
}

// quarantine moves a file that cannot be read to corrupt/.
func (w *Writer) quarantine(dir, name string, reason error) error {
	if err := durable.Rename(filepath.Join(w.dir, dir, name), filepath.Join(w.dir, corruptDir, name)); err != nil {
		return fmt.Errorf("setting a damaged file aside: %w", err)
	}
	w.Report("spool", fmt.Sprintf("%s/%s could not be read and is in %s/ now: %v", dir, name, corruptDir, reason))
	return nil
}

func (s *Spool) readItem(dir, name string) (*Item, error) { return s.readItemAs(name, dir, name) }

// readItemAs reads an item of the name from a file that may be called otherwise.
func (s *Spool) readItemAs(name, dir, file string) (*Item, error) {
	data, err := s.read(maxItemSize, dir, file)
	if err != nil {
		return nil, err
	}
	var item Item
	if err := attestation.DecodeStrict(data, &item); err != nil {
		return nil, err
	}
	if item.name() != name {
		return nil, fmt.Errorf("it says that it is %s", item.name())
	}
	return &item, nil
}

func (w *Writer) writeItem(dir string, item *Item) error {
	data, err := json.Marshal(item, json.Deterministic(true))
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(w.dir, dir, item.name()), data, 0o600)
}

// Outbox returns the names of the statements that wait to be acknowledged, in
// the order of their sequence.
func (w *Writer) Outbox() ([]string, error) { return w.list(outboxDir) }

// Item reads a statement of the outbox.
func (w *Writer) Item(name string) (*Item, error) {
	item, err := w.readItem(outboxDir, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the outbox: %w", name, err)
	}
	return item, nil
}
