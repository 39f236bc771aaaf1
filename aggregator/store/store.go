package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A Store is the generations of the index in one ClickHouse. It may be used from
// several goroutines.
type Store struct {
	options *clickhouse.Options
	control driver.Conn // to the configured database
	current atomic.Pointer[Tables]
}

// Tables is one generation: a database with all tables. One goroutine at a time
// may write.
type Tables struct {
	conn       driver.Conn
	generation uint32
	readers    sync.RWMutex // read-held by those who read it through Store.Acquire
}

var databaseName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,99}$`)

// Open connects to the database that options.Auth.Database names, makes it where
// it does not exist, and opens the current generation, migrating its tables to
// this version of the package.
func Open(ctx context.Context, options *clickhouse.Options) (*Store, error) {
	s, err := Unopened(options)
	if err != nil {
		return nil, err
	}
	if err := s.Reopen(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Unopened returns a store of which nothing is asked yet. Until [Store.Reopen]
// succeeds, whatever is read from it is an error.
func Unopened(options *clickhouse.Options) (*Store, error) {
	base := options.Auth.Database
	if !databaseName.MatchString(base) {
		return nil, fmt.Errorf("opening the index: database name %.120q is not 1 to 100 letters, digits and _", base)
	}
	control, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("opening the index: %w", err)
	}
	s := &Store{options: options, control: control}
	closed, err := s.connect(0)
	if err != nil {
		return nil, fmt.Errorf("opening the index: %w", errors.Join(err, control.Close()))
	}
	s.current.Store(closed)
	return s, nil
}

// Reopen opens the current generation again, in a database that may be another than
// before: an engine on a new directory. It does not wait for readers of the old one.
func (s *Store) Reopen(ctx context.Context) error {
	if err := createDatabase(ctx, s.options, s.options.Auth.Database); err != nil {
		return fmt.Errorf("opening the index: %w", err)
	}
	if err := s.openCurrent(ctx); err != nil {
		return fmt.Errorf("opening the index: %w", err)
	}
	return nil
}

// Renew makes an empty generation the current one.
func (s *Store) Renew(ctx context.Context) error {
	tables, err := s.NewGeneration(ctx)
	if err != nil {
		return err
	}
	return s.Swap(ctx, tables)
}

// createDatabase uses a connection of its own, because one to a database that
// does not exist cannot be had.
func createDatabase(ctx context.Context, options *clickhouse.Options, name string) error {
	without := *options
	without.Auth.Database = ""
	conn, err := clickhouse.Open(&without)
	if err != nil {
		return err
	}
	err = conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+name+" ENGINE = Atomic")
	return errors.Join(err, conn.Close())
}

func (s *Store) openCurrent(ctx context.Context) error {
	const table = `CREATE TABLE IF NOT EXISTS generations (generation UInt32) ENGINE = MergeTree ORDER BY generation`
	if err := s.control.Exec(ctx, table); err != nil {
		return err
	}
	var current uint32
	if err := s.control.QueryRow(ctx, `SELECT max(generation) FROM generations`).Scan(&current); err != nil {
		return err
	}
	if err := s.dropOthers(ctx, current); err != nil {
		return err
	}
	if current == 0 {
		closed, err := s.connect(0)
		if err != nil {
			return err
		}
		if old := s.current.Swap(closed); old != nil { // nothing of it is here
			if err := old.conn.Close(); err != nil {
				return err
			}
		}
		return s.Renew(ctx)
	}
	tables, err := s.openTables(ctx, current)
	if err != nil {
		return err
	}
	if old := s.current.Swap(tables); old != nil {
		return old.conn.Close()
	}
	return nil
}

// dropOthers removes what an interrupted reindexing left.
func (s *Store) dropOthers(ctx context.Context, current uint32) error {
	prefix := s.options.Auth.Database + "_"
	names, err := list(ctx, s.control, readString,
		`SELECT name FROM system.databases WHERE startsWith(name, {prefix:String})`, clickhouse.Named("prefix", prefix))
	if err != nil {
		return err
	}
	for _, name := range names {
		generation, err := strconv.ParseUint(strings.TrimPrefix(name, prefix), 10, 32)
		if err != nil || uint32(generation) == current {
			continue // another's database, or ours
		}
		if err := s.control.Exec(ctx, "DROP DATABASE "+name+" SYNC"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) databaseOf(generation uint32) string {
	return fmt.Sprintf("%s_%d", s.options.Auth.Database, generation)
}

// NewGeneration makes an empty generation beside the current one. There can be
// one at a time.
func (s *Store) NewGeneration(ctx context.Context) (*Tables, error) {
	generation := uint32(1)
	if t := s.current.Load(); t != nil {
		generation = t.generation + 1
	}
	name := s.databaseOf(generation)
	if err := s.control.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
		return nil, fmt.Errorf("making a generation of the index: %w", err)
	}
	if err := s.control.Exec(ctx, "CREATE DATABASE "+name+" ENGINE = Atomic"); err != nil {
		return nil, fmt.Errorf("making a generation of the index: %w", err)
	}
	t, err := s.openTables(ctx, generation)
	if err != nil {
		return nil, fmt.Errorf("making a generation of the index: %w", err)
	}
	return t, nil
}

// Swap makes a new generation the current one and removes the one before, when
// nothing reads it any more.
func (s *Store) Swap(ctx context.Context, t *Tables) error {
	old, err := s.Replace(ctx, t)
	if err != nil {
		return err
	}
	return s.Retire(ctx, old)
}

// Replace makes a new generation the current one and returns the one before, nil
// if there was none. It does not wait for those who read that one.
func (s *Store) Replace(ctx context.Context, t *Tables) (old *Tables, err error) {
	if err := s.control.Exec(ctx, `INSERT INTO generations (generation) VALUES (`+strconv.FormatUint(uint64(t.generation), 10)+`)`); err != nil {
		return nil, fmt.Errorf("making generation %d of the index the current one: %w", t.generation, err)
	}
	return s.current.Swap(t), nil
}

// Retire removes a generation that was replaced, when nothing reads it any more.
// What it cannot remove, the next [Open] does.
func (s *Store) Retire(ctx context.Context, old *Tables) error {
	if old == nil {
		return nil
	}
	old.readers.Lock()
	defer old.readers.Unlock()
	if err := old.conn.Close(); err != nil {
		return fmt.Errorf("closing generation %d of the index: %w", old.generation, err)
	}
	if err := s.control.Exec(ctx, "DROP DATABASE IF EXISTS "+s.databaseOf(old.generation)+" SYNC"); err != nil {
		return fmt.Errorf("removing generation %d of the index: %w", old.generation, err)
	}
	return nil
}

// Discard removes a generation that did not become the current one.
func (s *Store) Discard(ctx context.Context, t *Tables) error {
	err := t.conn.Close()
	return errors.Join(err, s.control.Exec(ctx, "DROP DATABASE "+s.databaseOf(t.generation)+" SYNC"))
}

// Acquire returns the current generation for reading. It stays until release is
// called.
func (s *Store) Acquire() (t *Tables, release func()) {
	for {
		t = s.current.Load()
		t.readers.RLock()
		if t == s.current.Load() {
			return t, t.readers.RUnlock
		}
		t.readers.RUnlock() // swapped in between
	}
}

// Current returns the current generation for the one who writes and swaps.
func (s *Store) Current() *Tables { return s.current.Load() }

// Close ends the connections.
func (s *Store) Close() error {
	return errors.Join(s.current.Load().conn.Close(), s.control.Close())
}

// connect makes a way to a generation, of which nothing is asked.
func (s *Store) connect(generation uint32) (*Tables, error) {
	options := *s.options
	options.Auth.Database = s.databaseOf(generation)
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return nil, err
	}
	return &Tables{conn: conn, generation: generation}, nil
}

func (s *Store) openTables(ctx context.Context, generation uint32) (*Tables, error) {
	t, err := s.connect(generation)
	if err != nil {
		return nil, err
	}
	if err := t.migrate(ctx); err != nil {
		return nil, errors.Join(err, t.conn.Close())
	}
	return t, nil
}
