package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"repronet/signing/keys"
)

// Bounds of what is kept of strangers.
const (
	// MaxRequests is how many requests wait at once; one more is refused.
	MaxRequests = 1000
	// KeepRequests is how long a request waits, and how long a refusal holds.
	KeepRequests = 30 * 24 * time.Hour
)

// A Request is one builder's newest request to be enrolled.
type Request struct {
	Builder  keys.BuilderID
	Document []byte
	Created  time.Time // by its maker
	Received time.Time
	Refusal  string // why an operator refused it; empty while it waits
}

// ErrFull is returned when no more requests can wait.
var ErrFull = errors.New("too many requests wait already")

// Ask keeps a request in the place of the builder's older one, and returns what
// is kept then: a request that is not newer than the kept one, and any from a
// builder that was refused, changes nothing.
func (s *State) Ask(ctx context.Context, r Request) (kept Request, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return kept, fmt.Errorf("keeping request: %w", err)
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	if _, err := tx.ExecContext(ctx, `DELETE FROM requests WHERE received < ?`, r.Received.Add(-KeepRequests).Unix()); err != nil {
		return kept, fmt.Errorf("keeping request: %w", err)
	}
	kept, err = scan(tx.QueryRowContext(ctx, selectRequests+` WHERE builder = ?`, r.Builder))
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return kept, fmt.Errorf("keeping request: %w", err)
	}
	if known && (kept.Refusal != "" || !r.Created.After(kept.Created)) {
		return kept, nil
	}
	if !known {
		var waiting int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM requests WHERE refusal = ''`).Scan(&waiting); err != nil {
			return kept, fmt.Errorf("keeping request: %w", err)
		}
		if waiting >= MaxRequests {
			return kept, ErrFull
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO requests (builder, document, created, received, refusal) VALUES (?, ?, ?, ?, '')
		ON CONFLICT (builder) DO UPDATE SET document = excluded.document, created = excluded.created, received = excluded.received`,
		r.Builder, r.Document, r.Created.Unix(), r.Received.Unix()); err != nil {
		return kept, fmt.Errorf("keeping request: %w", err)
	}
	r.Refusal = ""
	return r, tx.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Request returns a builder's request at a time; ok is false if there is none.
func (s *State) Request(ctx context.Context, builder keys.BuilderID, now time.Time) (r Request, ok bool, err error) {
	r, err = scan(s.db.QueryRowContext(ctx, selectRequests+` WHERE builder = ? AND received >= ?`, builder, now.Add(-KeepRequests).Unix()))
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("reading request: %w", err)
	}
	return r, true, nil
}

// Requests returns the requests that wait at a time, oldest first.
func (s *State) Requests(ctx context.Context, now time.Time) (waiting []Request, err error) {
	rows, err := s.db.QueryContext(ctx, selectRequests+` WHERE refusal = '' AND received >= ? ORDER BY received, rowid`, now.Add(-KeepRequests).Unix())
	if err != nil {
		return nil, fmt.Errorf("reading requests: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading requests: %w", err)
		}
		waiting = append(waiting, r)
	}
	return waiting, rows.Err()
}

// Refuse keeps, from now on, why a builder's request was refused, and reports
// whether there was one.
func (s *State) Refuse(ctx context.Context, builder keys.BuilderID, reason string, now time.Time) (bool, error) {
	result, err := s.db.ExecContext(ctx, `UPDATE requests SET refusal = ?, received = ? WHERE builder = ?`, reason, now.Unix(), builder)
	if err != nil {
		return false, fmt.Errorf("refusing request: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Forget deletes a builder's request: it is in the ledger now.
func (s *State) Forget(ctx context.Context, builder keys.BuilderID) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM requests WHERE builder = ?`, builder); err != nil {
		return fmt.Errorf("forgetting request: %w", err)
	}
	return nil
}

const selectRequests = `SELECT builder, document, created, received, refusal FROM requests`

func scan(row interface{ Scan(into ...any) error }) (r Request, err error) {
	var created, received int64
	err = row.Scan(&r.Builder, &r.Document, &created, &received, &r.Refusal)
	r.Created, r.Received = time.Unix(created, 0).UTC(), time.Unix(received, 0).UTC()
	return r, err
}
