// Package state keeps what an aggregator knows and what is no evidence, in one
// SQLite file: for now, who asked to be enrolled. It moves no verdict: what is
// lost with it has to be asked for again, and nothing else.
//
// The file has one user, the process that has the data directory open.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite", without cgo
)

// A State is the open file.
type State struct{ db *sql.DB }

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
	// A request is acknowledged when it is on disk.
	options := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // one writer, and few readers
	s := &State{db}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	return s, nil
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

// Close closes the file.
func (s *State) Close() error { return s.db.Close() }
