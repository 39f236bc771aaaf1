// Package state keeps what an aggregator knows and what is no evidence, in one
// SQLite file: who asked to be enrolled, who is told of changes and how far that has come,
// and facts such as what was written of a day's budgets. It moves no verdict: what is lost
// with it has to be asked for again, or begins anew, and nothing else.
//
// The file has one user, the process that has the data directory open.
//
// What is deleted here is gone from the file: SQLite overwrites it with zeros
// (secure_delete), keeps no log of writes beside the file between transactions
// (journal_mode TRUNCATE in place of a write-ahead log), and writes the whole file anew
// (VACUUM), because rows that moved from page to page leave copies behind that
// secure_delete does not reach. That happens when a request is forgotten, when a subscription
// is removed, when the file is opened, and for what strangers replaced or let expire, once an hour ([State.Expire]).
// Copies, such as backups, are for their owner to clean.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync/atomic"

	"modernc.org/sqlite" // the driver "sqlite", without cgo
	sqlite3 "modernc.org/sqlite/lib"

	"repronet.dev/internal/durable"
)

// A State is the open file.
type State struct {
	db    *sql.DB
	stale atomic.Bool // the file may have copies of what was deleted
}

// migrations bring a file from version n to n+1, by their place. One that was
// released is never changed.
func migrations() []string {
	return []string{
		`CREATE TABLE requests (
			builder  TEXT PRIMARY KEY,
			document BLOB NOT NULL,    -- as it came
			created  INTEGER NOT NULL, -- by its maker, seconds since 1970
			received INTEGER NOT NULL, -- seconds since 1970
			refusal  TEXT NOT NULL     -- why an operator refused it; empty while it waits
		) STRICT;
		CREATE INDEX requests_received ON requests (received);`,
		// network: whose share of the queue a request takes, see Request.Network.
		`ALTER TABLE requests ADD COLUMN network TEXT NOT NULL DEFAULT '';
		CREATE INDEX requests_network ON requests (network);
		CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
		`CREATE TABLE subscriptions (
			id           TEXT PRIMARY KEY,
			package_set  TEXT NOT NULL,    -- one of these three says what is told of; all empty: everything
			package      TEXT NOT NULL,
			maintainer   TEXT NOT NULL,
			kinds        TEXT NOT NULL,    -- of changes, with spaces
			daily        INTEGER NOT NULL, -- 1: in a digest a day; 0: at once
			webhook      TEXT NOT NULL,    -- a URL, or
			email        TEXT NOT NULL,    -- an address
			secret       BLOB NOT NULL,    -- signs webhooks, and links in mails
			created      INTEGER NOT NULL, -- times are seconds since 1970; 0: never
			confirmed    INTEGER NOT NULL,
			told         INTEGER NOT NULL, -- up to which ledger entry, exclusively
			digested     INTEGER NOT NULL,
			delivered    INTEGER NOT NULL,
			message      TEXT NOT NULL,    -- ID of what is being delivered; empty: nothing is
			message_told INTEGER NOT NULL, -- what told becomes with its delivery
			attempts     INTEGER NOT NULL, -- that failed
			next_attempt INTEGER NOT NULL,
			failed_since INTEGER NOT NULL, -- of these attempts, the first
			failure      TEXT NOT NULL,    -- of the last one
			message_body BLOB NOT NULL     -- last, so that what is large is not read with the others
		) STRICT;`,
	}
}

// Open opens the file at path, and makes it if it is not there.
func Open(ctx context.Context, path string) (*State, error) {
	// What people say of themselves is for the server alone to read.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	// A request is acknowledged when it is on disk, and forgotten when it is off it.
	options := url.Values{"_pragma": {
		"busy_timeout(5000)", "secure_delete(ON)", "temp_store(MEMORY)", "journal_mode(TRUNCATE)", "synchronous(FULL)",
	}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // one writer, and few readers
	s := &State{db: db}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	// The process before may have ended before it could. Where the disk takes nothing now,
	// that waits for the next Expire.
	if err := s.overwrite(ctx); err != nil && !diskTakesNothing(err) {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	return s, nil
}

// diskTakesNothing reports whether SQLite failed for want of a disk that can be written,
// see https://www.sqlite.org/rescode.html; it is no damage of the file.
func diskTakesNothing(err error) bool {
	failed, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch failed.Code() & 0xff { // without the extension
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// overwrite writes the file anew, without what was deleted.
func (s *State) overwrite(ctx context.Context) error {
	s.stale.Store(false)
	if _, err := s.db.ExecContext(ctx, "VACUUM"); err != nil {
		s.stale.Store(true)
		return fmt.Errorf("overwriting what was deleted: %w", err)
	}
	return nil
}

// Fact returns what was kept under a name; "" if nothing was.
func (s *State) Fact(ctx context.Context, name string) (value string, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT value FROM facts WHERE name = ?`, name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("reading what is known of %s: %w", name, err)
	}
	return value, nil
}

// KeepFact keeps a value under a name, in place of an older one.
func (s *State) KeepFact(ctx context.Context, name, value string) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO facts (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("keeping what is known of %s: %w", name, err)
	}
	return nil
}

func (s *State) migrate(ctx context.Context) error {
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	all := migrations()
	if version > len(all) {
		return fmt.Errorf("it has version %d, this program knows %d: use a newer program", version, len(all))
	}
	for ; version < len(all); version++ {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, all[version]+fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
			return errors.Join(fmt.Errorf("migrating to version %d: %w", version+1, err), tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("migrating to version %d: %w", version+1, err)
		}
	}
	return nil
}

// Copy writes a copy of the file of another process to a path, with nothing in it of what was
// deleted. It takes the place of what is there when it is whole.
func Copy(ctx context.Context, from, to string) (err error) {
	options := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: from, RawQuery: options.Encode()}).String())
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	partial := to + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a copy that was broken off
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", partial); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	file, err := os.OpenFile(partial, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Chmod(0o600), file.Sync(), file.Close()); err != nil {
		return err
	}
	return durable.Rename(partial, to)
}

// Close closes the file.
func (s *State) Close() error { return s.db.Close() }
