package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"repronet.dev/api"
)

const (
	// MaxSubscriptions is how many there can be.
	MaxSubscriptions = 1000
	// KeepUnconfirmed is how long an address has time to confirm its subscription.
	KeepUnconfirmed = 7 * 24 * time.Hour
)

// A Subscription is who is told of which changes of verdicts, and how far that has come.
type Subscription struct {
	ID string
	// One of these says what is told of; without any, it is everything.
	Set, Package, Maintainer string
	Kinds                    []api.ChangeKind
	Daily                    bool // in a digest a day; else at once
	// One of these says where it goes.
	Webhook, Email string
	Secret         []byte

	Created time.Time
	// Confirmed is when the subscriber agreed to be told; zero: not yet.
	Confirmed time.Time
	// Told is the ledger index of the first entry whose changes may still have to be told.
	Told      uint64
	Digested  time.Time // when a digest was made last, or the subscription
	Delivered time.Time // the last delivery; zero: none yet

	// Message is the ID of the message that is being delivered; "": none is.
	Message     string
	Attempts    int       // to deliver it, which failed
	NextAttempt time.Time // when it is tried again
	FailedSince time.Time // the first of these attempts; zero: none
	Failure     string    // of the last of them
}

// A Message is what is to be delivered, in the same words however often it is tried.
type Message struct {
	ID   string
	Body []byte
	Told uint64 // what Told becomes with the delivery
}

// ErrManySubscriptions is returned when there can be no more.
var ErrManySubscriptions = errors.New("there are too many subscriptions already")

// Subscribe keeps a new subscription. Its first message, if it has one, is due at once.
func (s *State) Subscribe(ctx context.Context, of Subscription, first Message) error {
	result, err := s.db.ExecContext(ctx, `INSERT INTO subscriptions (id, package_set, package, maintainer, kinds, daily, webhook, email, secret, created,
			confirmed, told, digested, delivered, message, message_body, message_told, attempts, next_attempt, failed_since, failure)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0, 0, 0, '' WHERE (SELECT count(*) FROM subscriptions) < ?`,
		of.ID, of.Set, of.Package, of.Maintainer, kindsText(of.Kinds), of.Daily, of.Webhook, of.Email, of.Secret, of.Created.Unix(),
		seconds(of.Confirmed), int64(of.Told), of.Created.Unix(), first.ID, append([]byte{}, first.Body...), int64(first.Told), MaxSubscriptions)
	if err != nil {
		return fmt.Errorf("keeping subscription: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return ErrManySubscriptions
}

// WithinLedger has subscriptions that were told more than a ledger of some size has, as it is
// after a restore, begin at its end: what comes there is new.
func (s *State) WithinLedger(ctx context.Context, size uint64) error {
	return s.changeSubscription(ctx, `UPDATE subscriptions SET told = min(told, ?1), message_told = min(message_told, ?1) WHERE max(told, message_told) > ?1`, int64(size))
}

// Subscriptions returns all subscriptions, oldest first.
func (s *State) Subscriptions(ctx context.Context) (list []Subscription, err error) {
	rows, err := s.db.QueryContext(ctx, selectSubscriptions+` ORDER BY created, rowid`)
	if err != nil {
		return nil, fmt.Errorf("reading subscriptions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		of, err := scanSubscription(rows)
		if err != nil {
			return nil, fmt.Errorf("reading subscriptions: %w", err)
		}
		list = append(list, of)
	}
	return list, rows.Err()
}

// Subscription returns one subscription; ok is false if there is none with the ID.
func (s *State) Subscription(ctx context.Context, id string) (of Subscription, ok bool, err error) {
	of, err = scanSubscription(s.db.QueryRowContext(ctx, selectSubscriptions+` WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return of, false, nil
	}
	if err != nil {
		return of, false, fmt.Errorf("reading subscription: %w", err)
	}
	return of, true, nil
}

// Unsubscribe deletes a subscription, and reports whether there was one: nothing is left of
// its address.
func (s *State) Unsubscribe(ctx context.Context, id string) (bool, error) {
	return s.deleteSubscriptions(ctx, `id = ?`, id)
}

// ExpireSubscriptions deletes those that nobody has confirmed in time.
func (s *State) ExpireSubscriptions(ctx context.Context, now time.Time) error {
	_, err := s.deleteSubscriptions(ctx, `confirmed = 0 AND created < ?`, now.Add(-KeepUnconfirmed).Unix())
	return err
}

func (s *State) deleteSubscriptions(ctx context.Context, where string, of any) (bool, error) {
	result, err := s.db.ExecContext(ctx, `DELETE FROM subscriptions WHERE `+where, of) //nolint:gosec // the conditions are those above
	if err != nil {
		return false, fmt.Errorf("deleting subscriptions: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, s.overwrite(ctx)
}

// ConfirmSubscription notes that its subscriber agreed, if that was not so before. The message
// that asks for it is needed no more, and was no delivery.
func (s *State) ConfirmSubscription(ctx context.Context, id string, now time.Time) error {
	return s.changeSubscription(ctx, `UPDATE subscriptions SET confirmed = ?, delivered = 0, message = '', message_body = x'', attempts = 0, failed_since = 0, failure = ''
		WHERE id = ? AND confirmed = 0`, now.Unix(), id)
}

// Digest notes that what is due of a daily subscription was looked for at a time, and that
// nothing before a ledger entry has to be told any more.
func (s *State) Digest(ctx context.Context, id string, told uint64, now time.Time) error {
	return s.changeSubscription(ctx, `UPDATE subscriptions SET told = max(told, ?), digested = ? WHERE id = ?`, int64(told), now.Unix(), id)
}

// Post keeps a message of a subscription, of which none is being delivered, and with which a
// digest was made: it is due at once.
func (s *State) Post(ctx context.Context, id string, m Message, now time.Time) error {
	return s.changeSubscription(ctx, `UPDATE subscriptions SET message = ?, message_body = ?, message_told = ?, attempts = 0, next_attempt = 0, digested = ?
		WHERE id = ? AND message = ''`, m.ID, m.Body, int64(m.Told), now.Unix(), id)
}

// Due returns the subscriptions whose messages are to be tried at a time, those first that
// failed least.
func (s *State) Due(ctx context.Context, now time.Time) (list []Subscription, err error) {
	all, err := s.Subscriptions(ctx)
	list = slices.DeleteFunc(all, func(of Subscription) bool { return of.Message == "" || of.NextAttempt.After(now) })
	slices.SortStableFunc(list, func(a, b Subscription) int { return a.Attempts - b.Attempts })
	return list, err
}

// Message returns what is being delivered to a subscription; its ID is "" if nothing is.
func (s *State) Message(ctx context.Context, id string) (m Message, err error) {
	var told int64
	err = s.db.QueryRowContext(ctx, `SELECT message, message_body, message_told FROM subscriptions WHERE id = ?`, id).Scan(&m.ID, &m.Body, &told)
	m.Told = uint64(told)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return m, fmt.Errorf("reading message: %w", err)
	}
	return m, nil
}

// Delivered notes that a message was delivered: what it told of is not told again.
func (s *State) Delivered(ctx context.Context, id, message string, now time.Time) error {
	return s.changeSubscription(ctx, `UPDATE subscriptions SET told = max(told, message_told), delivered = ?, message = '', message_body = x'',
		attempts = 0, failed_since = 0, failure = '' WHERE id = ? AND message = ?`, now.Unix(), id, message)
}

// Failed notes that a message could not be delivered, why, and when it is tried again.
func (s *State) Failed(ctx context.Context, id, message, why string, now, next time.Time) error {
	return s.changeSubscription(ctx, `UPDATE subscriptions SET attempts = attempts + 1, next_attempt = ?, failure = ?,
		failed_since = CASE failed_since WHEN 0 THEN ? ELSE failed_since END WHERE id = ? AND message = ?`, next.Unix(), why, now.Unix(), id, message)
}

// changeSubscription changes subscriptions, as far as they were not removed meanwhile.
func (s *State) changeSubscription(ctx context.Context, statement string, args ...any) error {
	if _, err := s.db.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("noting what became of a subscription: %w", err)
	}
	return nil
}

const selectSubscriptions = `SELECT id, package_set, package, maintainer, kinds, daily, webhook, email, secret, created, confirmed, told, digested,
	delivered, message, attempts, next_attempt, failed_since, failure FROM subscriptions`

func scanSubscription(row interface{ Scan(into ...any) error }) (of Subscription, err error) {
	var kinds string
	var told, created, confirmed, digested, delivered, next, failed int64
	if err := row.Scan(&of.ID, &of.Set, &of.Package, &of.Maintainer, &kinds, &of.Daily, &of.Webhook, &of.Email, &of.Secret, &created, &confirmed,
		&told, &digested, &delivered, &of.Message, &of.Attempts, &next, &failed, &of.Failure); err != nil {
		return of, err
	}
	for kind := range strings.FieldsSeq(kinds) {
		of.Kinds = append(of.Kinds, api.ChangeKind(kind))
	}
	of.Told = uint64(told)
	for at, value := range map[*time.Time]int64{
		&of.Created: created, &of.Confirmed: confirmed, &of.Digested: digested, &of.Delivered: delivered, &of.NextAttempt: next, &of.FailedSince: failed,
	} {
		if value != 0 {
			*at = time.Unix(value, 0).UTC()
		}
	}
	return of, nil
}

func kindsText(kinds []api.ChangeKind) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, " ")
}

// seconds are those since 1970; 0 of the zero time.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
