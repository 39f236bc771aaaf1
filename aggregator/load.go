package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// Load makes the way in ready: every earlier claim becomes known to the duplicate
// check and every enrolment to the roster, from the index as far as it goes and from
// the ledger after that; from the ledger alone if the index cannot be read.
func (a *Aggregator) Load(ctx context.Context) error {
	if err := a.loadLedger(ctx); err != nil {
		return err
	}
	return a.openWaysIn(ctx)
}

// loadPatience is how long a start waits before it reads the ledger again.
const loadPatience = 5 * time.Second

// loadUntilDone is [Aggregator.Load], which reads again and again while the ledger
// cannot be read.
func (a *Aggregator) loadUntilDone(ctx context.Context) error {
	for {
		err := a.loadLedger(ctx)
		if err == nil {
			return a.openWaysIn(ctx)
		}
		if ctx.Err() != nil {
			return err
		}
		a.deps.Logger.ErrorContext(ctx, "reading what the ledger holds", "error", err, "retry_in", loadPatience)
		select {
		case <-time.After(loadPatience):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openWaysIn lets submissions and requests in, when the roster is complete.
func (a *Aggregator) openWaysIn(ctx context.Context) error {
	secret, err := a.pseudonyms(ctx)
	if err != nil {
		return err
	}
	a.ingest.Ready()
	a.joining.Ready(secret)
	return nil
}

// loadLedger takes note of all that the ledger holds. After an error it can be called
// again.
func (a *Aggregator) loadLedger(ctx context.Context) error {
	reader := reading.New(a.roster, a.ledger.Attachment).In(a.config.Origin)
	next, err := a.loadIndex(ctx, reader)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		a.deps.Logger.WarnContext(ctx, "reading the whole ledger for want of the index", "error", err)
	}
	size := a.ledger.Size()
	if err := a.eraseAgain(ctx, next, size); err != nil {
		return err
	}
	for entry, err := range a.ledger.Entries(ctx, next, size) {
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		if err := a.known(ctx, reader, next, entry); err != nil {
			return fmt.Errorf("ledger index %d: %w", next, err)
		}
		next++
	}
	return nil
}

// loadIndex takes from the index what it knows, and returns how far that goes: 0 with
// an error, after which some of it may be known.
func (a *Aggregator) loadIndex(ctx context.Context, reader *reading.Reader) (size uint64, err error) {
	if why := a.keeper.trouble.Load(); why != nil {
		return 0, fmt.Errorf("reading the index: %s", *why)
	}
	tables, release := a.store.Acquire()
	defer release()
	watermark, err := tables.Watermark(ctx)
	if err != nil {
		return 0, err
	}
	entries, err := tables.Roster(ctx, watermark.Size)
	if err != nil {
		return 0, fmt.Errorf("reading the roster: %w", err)
	}
	for _, e := range entries {
		if err := a.known(ctx, reader, e.Index, &ledger.Entry{Kind: ledger.Kind(e.Kind), Body: e.Body}); err != nil {
			return 0, err
		}
	}
	for key, err := range tables.DuplicateKeys(ctx, 0) {
		if err != nil {
			return 0, fmt.Errorf("reading the claims that are known: %w", err)
		}
		if builder, ok := a.roster.ByNumber(key.Builder); ok {
			a.ingest.Known(reading.NewKey(builder.ID, key.Payload), key.Index)
		}
	}
	for d, err := range tables.Documents(ctx) {
		if err != nil {
			return 0, fmt.Errorf("reading the documents that are known: %w", err)
		}
		a.ingest.Known(reading.DocumentKey(d.ID), d.Index)
	}
	return watermark.Size, nil
}

// known takes note of an entry that is in the ledger. One that only a newer program can
// read changes nothing here: the index stops at it, and says so.
func (a *Aggregator) known(ctx context.Context, reader *reading.Reader, at uint64, entry *ledger.Entry) error {
	if entry.Kind.IsStatement() {
		a.knownStatement(ctx, at, entry)
		return nil
	}
	said, err := reader.Read(ctx, at, entry)
	if errors.Is(err, reading.ErrNewerRules) {
		a.undecided.Do(func() { a.deps.Logger.ErrorContext(ctx, "reading the ledger", "error", err) })
		return nil
	}
	if err != nil {
		return err
	}
	switch said := said.(type) {
	case *reading.Document:
		a.ingest.Known(said.Key(), at)
	case *reading.Erasure:
		return a.ledger.attachments.Erase(ledger.AttachmentID(said.Attachment))
	case *reading.Rules:
		a.roster.Judge(at, uint32(said.Version))
	case *reading.Enrolment, *reading.Revocation:
		if at < a.applied {
			return nil // in an attempt before this one
		}
		a.applied = at + 1
		_, _, err = a.roster.Apply(at, entry.Kind, entry.Body)
	case *reading.Refused:
		err = said
	}
	if err != nil {
		a.deps.Logger.WarnContext(ctx, "entry moves nothing", "index", at, "kind", entry.Kind, "error", err)
	}
	return nil
}

// knownStatement takes note of a statement, whether it counts or not.
func (a *Aggregator) knownStatement(ctx context.Context, at uint64, entry *ledger.Entry) {
	named, err := reading.Peek(at, entry)
	if err != nil {
		a.deps.Logger.WarnContext(ctx, "entry moves nothing", "index", at, "kind", entry.Kind, "error", err)
		return
	}
	builder := named.Builder
	if builder == "" {
		if b, ok := a.roster.Keyless(named.Identity); ok { // as it was when the entry was written
			builder = b.ID
		}
	}
	a.ingest.Known(reading.NewKey(builder, named.Payload), at)
}
