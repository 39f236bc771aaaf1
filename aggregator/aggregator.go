package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"repronet/aggregator/index"
	"repronet/aggregator/ingest"
	"repronet/aggregator/joining"
	"repronet/aggregator/state"
	"repronet/aggregator/store"
	"repronet/enrolment"
	"repronet/evidence/kinds"
	"repronet/internal/chdb"
	"repronet/internal/durable"
	"repronet/ledger"
	"repronet/ledger/append"
	"repronet/signing"
)

// Dependencies are what an Aggregator is given from outside.
type Dependencies struct {
	Logger   *slog.Logger
	Registry *prometheus.Registry
}

// An Aggregator owns an open data directory. [Aggregator.Serve] runs it as a
// server; without that it does administrative work alone.
type Aggregator struct {
	config Config
	deps   Dependencies
	key    *append.Key
	log    *append.Log
	ledger ownLedger
	engine *chdb.Engine // nil with a ClickHouse server
	store  *store.Store
	index  *index.Index
	maps   *maps
	roster *enrolment.Roster // up to the ledger's end; the index has its own, up to the watermark
	ingest *ingest.Ingest

	state   *state.State // what is no evidence
	joining *joining.Joining
}

// Open opens the data directory, in the order ledger, engine, index. It fails if
// another process has it open.
func Open(ctx context.Context, config Config, deps Dependencies) (a *Aggregator, err error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	a = &Aggregator{config: config, deps: deps, roster: enrolment.NewRoster()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
			a = nil
		}
	}()
	if err := durable.MkdirAll(config.Data, 0o750); err != nil {
		return a, fmt.Errorf("making the data directory: %w", err)
	}
	if err := a.openLedger(ctx); err != nil {
		return a, err
	}
	if err := a.openIndex(ctx); err != nil {
		return a, err
	}
	if a.maps, err = openMaps(ctx, filepath.Join(config.Data, "maps"), config.MapInterval, a.log, a.ledger, a.deps.Logger); err != nil {
		return a, err
	}
	a.ingest = ingest.New(ingest.Config{Logger: deps.Logger, Registry: deps.Registry}, a.log, a.roster, a.ledger.Attachment)
	if err := a.openJoining(ctx); err != nil {
		return a, err
	}
	return a, nil
}

// ledgerDir is the public directory of the log.
func (a *Aggregator) ledgerDir() string { return filepath.Join(a.config.Data, "ledger") }

func (a *Aggregator) openLedger(ctx context.Context) (err error) {
	a.key, err = append.LoadOrCreateKey(filepath.Join(a.config.Data, "log.key"), a.config.Origin)
	if err != nil {
		return err
	}
	var witnesses []byte
	if a.config.Witnesses != "" {
		if witnesses, err = os.ReadFile(a.config.Witnesses); err != nil {
			return fmt.Errorf("reading witnesses: %w", err)
		}
	}
	a.log, err = append.Open(ctx, append.Config{
		Dir: a.ledgerDir(), Key: a.key, CheckpointInterval: a.config.CheckpointInterval, Witnesses: witnesses, Logger: a.deps.Logger,
	})
	if err != nil {
		return err
	}
	attachments, err := ledger.OpenAttachments(a.ledgerDir())
	if err != nil {
		return err
	}
	a.ledger = ownLedger{a.log, attachments}
	return nil
}

func (a *Aggregator) openIndex(ctx context.Context) (err error) {
	options, err := a.clickHouse(ctx)
	if err != nil {
		return err
	}
	a.store, err = store.Open(ctx, options)
	if err != nil {
		return err
	}
	a.index, err = index.New(ctx, index.Config{Logger: a.deps.Logger, Progress: a.catchingUp()}, a.store, a.ledger)
	return err
}

// clickHouse returns the way to the configured server, or to the embedded
// engine, which it starts.
func (a *Aggregator) clickHouse(ctx context.Context) (options *clickhouse.Options, err error) {
	if a.config.ClickHouse != "" {
		options, err = clickHouseServer(a.config.ClickHouse)
		return options, err
	}
	a.engine, err = chdb.Open(ctx, chdb.Config{
		Library: a.config.Engine, Path: filepath.Join(a.config.Data, "index"),
		MaxServerMemory: embeddedMemory, Logger: a.deps.Logger,
	})
	if err != nil {
		return nil, err
	}
	return a.engine.Options("repronet"), nil
}

// embeddedMemory is what the embedded engine may allocate, in bytes. Merges and
// page queries stay far below; a re-judgement of everything may come near.
const embeddedMemory = 4 << 30

func clickHouseServer(address string) (*clickhouse.Options, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("clickhouse: want http://USER:PASSWORD@HOST:PORT/DATABASE, ClickHouse's HTTP interface")
	}
	options, err := clickhouse.ParseDSN(address)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	if strings.Trim(u.Path, "/") == "" {
		options.Auth.Database = "repronet"
	}
	return options, nil
}

// catchingUp returns a function that logs the index's progress while it is far
// behind.
func (a *Aggregator) catchingUp() func(indexed, size uint64) {
	var told uint64
	return func(indexed, size uint64) {
		const step = 50_000
		if size-indexed < step || indexed < told+step {
			return
		}
		told = indexed
		a.deps.Logger.Info("indexing", "indexed", indexed, "ledger_size", size)
	}
}

// Load makes the way in ready: every earlier claim becomes known to the
// duplicate check and every enrolment to the roster, from the index as far as it
// goes and from the ledger after that.
func (a *Aggregator) Load(ctx context.Context) error {
	tables := a.store.Current()
	watermark, err := tables.Watermark(ctx)
	if err != nil {
		return err
	}
	entries, err := tables.Roster(ctx, watermark.Size)
	if err != nil {
		return fmt.Errorf("reading the roster: %w", err)
	}
	for _, e := range entries {
		if err := a.known(ctx, e.Index, ledger.Kind(e.Kind), e.Body); err != nil {
			return err
		}
	}
	if err := a.eraseAgain(ctx, watermark.Size, a.ledger.Size()); err != nil {
		return err
	}
	for key, err := range tables.DuplicateKeys(ctx, 0) {
		if err != nil {
			return fmt.Errorf("reading the claims that are known: %w", err)
		}
		if builder, ok := a.roster.ByNumber(key.Builder); ok {
			a.ingest.Known(builder.ID, key.Payload, key.Index)
		}
	}
	for d, err := range tables.Documents(ctx) {
		if err != nil {
			return fmt.Errorf("reading the documents that are known: %w", err)
		}
		a.ingest.KnownEvidence(d.ID, d.Index)
	}
	keys := kinds.NewKeys(a.roster, a.ledger.Attachment)
	next := watermark.Size
	for entry, err := range a.ledger.Entries(ctx, watermark.Size, a.ledger.Size()) {
		if err != nil {
			return fmt.Errorf("reading the ledger's tail: %w", err)
		}
		if slices.Contains(kinds.Kinds(), entry.Kind) {
			e, err := keys.Open(ctx, entry.Kind, entry.Body, entry.ReceivedAt)
			switch {
			case err == nil:
				a.ingest.KnownEvidence(e.ID, next)
			case !kinds.Malformed(err):
				return fmt.Errorf("ledger index %d: %w", next, err)
			}
		} else if err := a.known(ctx, next, entry.Kind, entry.Body); err != nil {
			return err
		}
		next++
	}
	a.ingest.Ready()
	a.joining.Ready()
	return nil
}

// known takes note of an entry that is in the ledger.
func (a *Aggregator) known(ctx context.Context, at uint64, kind ledger.Kind, body []byte) error {
	switch kind {
	case ledger.Attestation:
		builder, payload, err := signing.Peek(body)
		if err != nil {
			return fmt.Errorf("ledger index %d: %w", at, err)
		}
		if builder == "" {
			who, err := signing.PeekIdentity(body)
			if err != nil {
				return fmt.Errorf("ledger index %d: %w", at, err)
			}
			if b, ok := a.roster.Keyless(who); ok { // as it was when the entry was written
				builder = b.ID
			}
		}
		a.ingest.Known(builder, payload, at)
	case ledger.Erased:
		e, err := enrolment.ParseErasure(body)
		if err != nil {
			return nil //nolint:nilerr // moves nothing, for any reader
		}
		return a.ledger.attachments.Erase(ledger.AttachmentID(e.Attachment))
	default:
		if _, _, err := a.roster.Apply(at, kind, body); err != nil {
			a.deps.Logger.WarnContext(ctx, "entry moves nothing", "index", at, "kind", kind, "error", err)
		}
	}
	return nil
}

// Close closes everything, in reverse order. It waits for what runs.
func (a *Aggregator) Close(ctx context.Context) error {
	var stateErr, storeErr, engineErr, logErr, mapsErr error
	if a.state != nil {
		stateErr = a.state.Close()
	}
	if a.maps != nil {
		mapsErr = a.maps.close()
	}
	if a.store != nil {
		storeErr = a.store.Close()
	}
	if a.engine != nil {
		engineErr = a.engine.Close()
	}
	if a.log != nil {
		logErr = a.log.Close(ctx)
	}
	return errors.Join(stateErr, mapsErr, storeErr, engineErr, logErr)
}
