package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"repronet.dev/signing"
)

// Bounds of what is kept of strangers.
const (
	// MaxRequests is how many requests wait at once; one more is refused.
	MaxRequests = 1000
	// MaxOfNetwork is how many of them come from one network, so that twenty networks
	// have to work together to fill the queue for all others.
	MaxOfNetwork = 50
	// KeepRequests is how long a request waits, and how long a refusal holds.
	KeepRequests = 30 * 24 * time.Hour
)

// A Request is one builder's newest request to be enrolled.
type Request struct {
	Builder  signing.BuilderID
	Document []byte
	Created  time.Time // by its maker
	Received time.Time
	Refusal  string // why an operator refused it; empty while it waits
	// Network names where it came from without telling: requests with the same one come
	// from the same network. Empty: it is not known, and takes no network's share.
	Network string
}

var (
	// ErrFull is returned when no more requests can wait.
	ErrFull = errors.New("too many requests wait already")
	// ErrShare is returned when no more requests of one network can wait.
	ErrShare = errors.New("too many requests of one network wait already")
)

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
		if err := room(ctx, tx, r.Network); err != nil {
			return kept, err
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO requests (builder, document, created, received, refusal, network) VALUES (?, ?, ?, ?, '', ?)
		ON CONFLICT (builder) DO UPDATE SET document = excluded.document, created = excluded.created, received = excluded.received`,
		r.Builder, r.Document, r.Created.Unix(), r.Received.Unix(), r.Network); err != nil {
		return kept, fmt.Errorf("keeping request: %w", err)
	}
	s.stale.Store(true)
	r.Refusal = ""
	return r, tx.Commit()
}

// room reports why one more request of a network cannot wait.
func room(ctx context.Context, tx *sql.Tx, network string) error {
	var waiting, same int
	if err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(network = ?), 0) FROM requests WHERE refusal = ''`, network).Scan(&waiting, &same); err != nil {
		return fmt.Errorf("keeping request: %w", err)
	}
	switch {
	case waiting >= MaxRequests:
		return ErrFull
	case network != "" && same >= MaxOfNetwork:
		return ErrShare
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Request returns a builder's request at a time; ok is false if there is none.
func (s *State) Request(ctx context.Context, builder signing.BuilderID, now time.Time) (r Request, ok bool, err error) {
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
func (s *State) Refuse(ctx context.Context, builder signing.BuilderID, reason string, now time.Time) (bool, error) {
	result, err := s.db.ExecContext(ctx, `UPDATE requests SET refusal = ?, received = ? WHERE builder = ?`, reason, now.Unix(), builder)
	if err != nil {
		return false, fmt.Errorf("refusing request: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Waiting returns how many requests wait at a time.
func (s *State) Waiting(ctx context.Context, now time.Time) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM requests WHERE refusal = '' AND received >= ?`, now.Add(-KeepRequests).Unix()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting requests: %w", err)
	}
	return n, nil
}

// Newest returns how many requests wait at a time, and when the newest of them came; zero if
// none waits.
func (s *State) Newest(ctx context.Context, now time.Time) (n int, newest time.Time, err error) {
	var received int64
	err = s.db.QueryRowContext(ctx, `SELECT count(*), coalesce(max(received), 0) FROM requests WHERE refusal = '' AND received >= ?`,
		now.Add(-KeepRequests).Unix()).Scan(&n, &received)
	if err != nil {
		return 0, newest, fmt.Errorf("counting requests: %w", err)
	}
	if n > 0 {
		newest = time.Unix(received, 0).UTC()
	}
	return n, newest, nil
}

// Asked returns the builders of the requests at a time, those that were refused among
// them, whose IDs begin with a text.
func (s *State) Asked(ctx context.Context, prefix string, now time.Time) (builders []signing.BuilderID, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT builder FROM requests WHERE substr(builder, 1, length(?1)) = ?1 AND received >= ?2 ORDER BY builder`,
		prefix, now.Add(-KeepRequests).Unix())
	if err != nil {
		return nil, fmt.Errorf("reading requests: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id signing.BuilderID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("reading requests: %w", err)
		}
		builders = append(builders, id)
	}
	return builders, rows.Err()
}

// Expire deletes the requests and refusals whose time is over, and overwrites what is left
// in the file of these and of documents that were replaced.
func (s *State) Expire(ctx context.Context, now time.Time) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM requests WHERE received < ?`, now.Add(-KeepRequests).Unix())
	if err != nil {
		return fmt.Errorf("forgetting requests: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 && !s.stale.Load() {
		return err
	}
	return s.overwrite(ctx)
}

// Forget deletes a builder's request: it is in the ledger now.
func (s *State) Forget(ctx context.Context, builder signing.BuilderID) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM requests WHERE builder = ?`, builder)
	if err != nil {
		return fmt.Errorf("forgetting request: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return s.overwrite(ctx)
}

const selectRequests = `SELECT builder, document, created, received, refusal, network FROM requests`

func scan(row interface{ Scan(into ...any) error }) (r Request, err error) {
	var created, received int64
	err = row.Scan(&r.Builder, &r.Document, &created, &received, &r.Refusal, &r.Network)
	r.Created, r.Received = time.Unix(created, 0).UTC(), time.Unix(received, 0).UTC()
	return r, err
}
