package aggregator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/outputmap"
)

// maps keeps the verifiable map: now and then it builds that of the whole ledger
// from the last one and the entries since, and commits to it by an entry. The map
// follows from the ledger's bytes, not from the index: it lists what does not count,
// too.
//
// In its directory are the maps, each named by its size, and the file "current".
// All of it can be lost: the next map is built from the beginning then.
type maps struct {
	dir      string
	interval time.Duration
	log      *writer.Log
	ledger   diskLedger

	mu      sync.RWMutex // guards what follows; held for reading while current is read
	current *committedMap
}

// A committedMap is a map whose root is in the ledger.
type committedMap struct {
	*outputmap.Snapshot
	index uint64    // of the entry with the root
	at    time.Time // when the ledger took it
}

// heartbeat is after how many intervals a map is committed even if the ledger has
// nothing new: a reader of proofs knows from its age that no news is held back.
const heartbeat = 24

// mapTimeout bounds the building of a map.
const mapTimeout = 2 * time.Hour

func openMaps(ctx context.Context, dir string, interval time.Duration, log *writer.Log, l diskLedger, logger *slog.Logger) (*maps, error) {
	m := &maps{dir: dir, interval: interval, log: log, ledger: l}
	err := m.open(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		logger.WarnContext(ctx, "building the map anew", "error", err)
		err = os.RemoveAll(dir)
	} else {
		err = nil
	}
	if err = errors.Join(err, durable.MkdirAll(dir, 0o750)); err != nil {
		return nil, fmt.Errorf("opening maps: %w", err)
	}
	return m, nil
}

// open opens the map that was committed last.
func (m *maps) open(ctx context.Context) error {
	text, err := os.ReadFile(m.path("current"))
	if err != nil {
		return err
	}
	var size, index uint64
	if _, err := fmt.Sscanf(string(text), "size %d index %d\n", &size, &index); err != nil {
		return err
	}
	snapshot, err := outputmap.Open(m.path(strconv.FormatUint(size, 10)))
	if err != nil {
		return err
	}
	entry, err := m.ledger.Entry(ctx, index)
	if err != nil {
		return errors.Join(err, snapshot.Close())
	}
	m.current = &committedMap{snapshot, index, entry.ReceivedAt}
	return nil
}

func (m *maps) path(name string) string { return filepath.Join(m.dir, name) }

func (m *maps) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return nil
	}
	return m.current.Close()
}

// commit builds and commits the map of the ledger as it is, if that has news. One
// goroutine at a time calls it.
func (m *maps) commit(ctx context.Context) error {
	size := m.log.Size()
	old := m.current // written below only
	if old != nil {
		news := size - old.Root().Size
		if old.index >= old.Root().Size && old.index < size {
			news-- // the entry of the map itself
		}
		if news == 0 && time.Since(old.at) < heartbeat*m.interval {
			return nil
		}
	}
	if size == 0 {
		return nil
	}
	snapshot, err := m.build(ctx, old, size)
	if err != nil {
		return err
	}
	body, err := snapshot.Root().Encode()
	var index uint64
	if err == nil {
		index, err = m.log.Append(ctx, ledger.MapRoot, body)
	}
	if err == nil {
		err = durable.WriteFile(m.path("current"), fmt.Appendf(nil, "size %d index %d\n", size, index), 0o640)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("committing to a map: %w", err), snapshot.Close())
	}
	m.mu.Lock()
	m.current = &committedMap{snapshot, index, time.Now()}
	m.mu.Unlock()
	if old == nil {
		return nil
	}
	return errors.Join(old.Close(), os.RemoveAll(m.path(strconv.FormatUint(old.Root().Size, 10))))
}

// build builds the map of the first size entries.
func (m *maps) build(ctx context.Context, old *committedMap, size uint64) (_ *outputmap.Snapshot, err error) {
	sorter := outputmap.NewSorter(m.dir)
	defer func() { err = errors.Join(err, sorter.Close()) }()
	var older *outputmap.Snapshot
	var next uint64
	if old != nil {
		older, next = old.Snapshot, old.Root().Size
	}
	for entry, err := range m.ledger.Entries(ctx, next, size) {
		if err != nil {
			return nil, fmt.Errorf("reading the ledger for a map: %w", err)
		}
		keys, err := outputmap.Keys(next, entry)
		if err != nil { // no map that lacks what a newer program wrote
			return nil, err
		}
		if err := sorter.Add(next, keys...); err != nil {
			return nil, err
		}
		next++
	}
	if next != size {
		return nil, fmt.Errorf("reading the ledger for a map: %d of %d entries", next, size)
	}
	dir := m.path(strconv.FormatUint(size, 10))
	if err := os.RemoveAll(dir); err != nil { // of a run that did not commit to it
		return nil, err
	}
	return outputmap.Build(dir, sorter.Pairs(older), size)
}

// receiptPatience bounds the wait for a checkpoint that covers a map's entry.
const receiptPatience = 10 * time.Second

// prove returns the newest map's proof for an output.
func (m *maps) prove(ctx context.Context, id attestation.OutputID) (*api.MapProof, error) {
	answer := &api.MapProof{}
	index, err := m.read(func(current *committedMap) (err error) {
		if answer.Output, err = encoded(current.Prove(id)); err == nil {
			answer.Roster, err = encoded(current.Prove(outputmap.RosterKey()))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	answer.Receipt, err = m.receipt(ctx, index)
	return answer, err
}

// proveBucket returns what the newest map has of all outputs whose IDs have a prefix.
func (m *maps) proveBucket(ctx context.Context, prefix attestation.Prefix) (*api.MapBucket, error) {
	answer := &api.MapBucket{}
	index, err := m.read(func(current *committedMap) (err error) {
		if answer.Bucket, err = encoded(current.ProveBucket(prefix)); err == nil {
			answer.Roster, err = encoded(current.Prove(outputmap.RosterKey()))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	answer.Receipt, err = m.receipt(ctx, index)
	return answer, err
}

// encoded is what was proven, as JSON.
func encoded(proven interface{ Encode() ([]byte, error) }, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return proven.Encode()
}

// index returns that of the entry with the newest map's root.
func (m *maps) index() (uint64, error) { return m.read(func(*committedMap) error { return nil }) }

// read reads the newest map, and returns the index of the entry with its root. The map is
// held only while it is read: the wait for a checkpoint keeps no later map from being
// committed.
func (m *maps) read(read func(current *committedMap) error) (index uint64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.current == nil {
		return 0, fs.ErrNotExist
	}
	return m.current.index, read(m.current)
}

func (m *maps) receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, receiptPatience)
	defer cancel()
	return m.log.Receipt(ctx, index)
}
