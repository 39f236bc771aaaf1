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
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/aggregator/joining"
	"repronet.dev/aggregator/notify"
	"repronet.dev/aggregator/state"
	"repronet.dev/enrolment"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// Dependencies are what an Aggregator is given from outside.
type Dependencies struct {
	Logger   *slog.Logger
	Registry *prometheus.Registry
}

// An Aggregator owns an open data directory. [Aggregator.Serve] runs it as a
// server; without that it does administrative work alone.
type Aggregator struct {
	view
	log       *writer.Log
	maps      *maps
	snapshots *snapshots
	roster    *enrolment.Roster // up to the ledger's end; the index has its own, up to the watermark
	// applied is up to which entry Load, and nothing else, has applied them to roster.
	applied   uint64
	undecided sync.Once // said at the first entry that only a newer program can read
	ingest    *ingest.Ingest

	state    *state.State // what is no evidence
	budgeted bool         // what was kept of the budgets is taken up
	joining  *joining.Joining
	notifier *notify.Notifier
	sets     setCatalogue

	witnesses *witnesses // nil: none are asked
}

// Open opens the data directory: the ledger, after it was proven to be what the index
// knows of it, and the index, which may be damaged or missing. It fails if another
// process has it open, and founds nothing: without a ledger the error wraps
// [ErrNoLedger].
func Open(ctx context.Context, config Config, deps Dependencies) (a *Aggregator, err error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	origin, err := Origin(config.Data)
	if err != nil {
		return nil, err
	}
	if config.Origin == "" {
		config.Origin = origin
	}
	a = &Aggregator{view: view{config: config, deps: deps}, roster: enrolment.NewRoster()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
			a = nil
		}
	}()
	if a.keeper, err = newKeeper(&a.view); err != nil {
		return a, err
	}
	if err := a.openLedger(ctx); err != nil {
		return a, err
	}
	a.keeper.attach(ctx)
	if a.maps, err = openMaps(ctx, filepath.Join(config.Data, "maps"), config.MapInterval, a.log, a.ledger, a.deps.Logger); err != nil {
		return a, err
	}
	a.ingest = ingest.New(ingest.Config{
		Logger: deps.Logger, Registry: deps.Registry, Attach: a.ledger.attachments.Put, Origin: a.config.Origin, Budget: config.Budget, Recent: &a.recent,
	}, a.log, a.roster, a.ledger.Attachment)
	if err := a.openJoining(ctx); err != nil {
		return a, err
	}
	if err := a.openNotifier(ctx); err != nil {
		return a, err
	}
	return a, nil
}

// Origin is the name of the ledger.
func (a *Aggregator) Origin() string { return a.config.Origin }

// ledgerDir is the public directory of the log.
func (a *Aggregator) ledgerDir() string { return filepath.Join(a.config.Data, LedgerDir) }

func (a *Aggregator) openLedger(ctx context.Context) (err error) {
	key, err := writer.LoadOrCreateKey(keyPath(a.config.Data), a.config.Origin)
	if err != nil {
		return err
	}
	a.logKey = key.String()
	var witnesses []byte
	if a.config.Witnesses != "" {
		if witnesses, err = os.ReadFile(a.config.Witnesses); err != nil {
			return fmt.Errorf("reading witnesses: %w", err)
		}
		if a.witnesses, err = newWitnesses(witnesses); err != nil {
			return fmt.Errorf("%s: %w", a.config.Witnesses, err)
		}
	}
	var engineErr error // of a configuration that cannot work
	a.log, err = writer.Open(ctx, writer.Config{
		Dir: a.ledgerDir(), Key: key, CheckpointInterval: a.config.CheckpointInterval, Witnesses: witnesses, Logger: a.deps.Logger,
		ClockIsRight: a.config.ClockIsRight,
		// The ledger's lock is held now: no other server has the index.
		Known: func(ctx context.Context) []writer.Tree {
			engineErr = a.keeper.open(ctx)
			return a.keeper.known(ctx)
		},
	})
	if err := errors.Join(engineErr, err); err != nil {
		return err
	}
	attachments, err := ledger.OpenAttachments(a.ledgerDir())
	if err != nil {
		return err
	}
	a.ledger = diskLedger{log: a.log, attachments: attachments}
	a.filters = newFilters(attachments)
	if a.snapshots, err = openSnapshots(filepath.Join(a.config.Data, SnapshotsDir), a.config.Snapshots.Keep, key, a.ledgerDir(), a.log.Checkpoint, a.ledger.Attachment); err != nil {
		return err
	}
	return a.sweep()
}

// sweep removes what a process that was killed has left half-written: keys, and
// attachments, which may have been erased meanwhile. The ledger's lock is held.
func (a *Aggregator) sweep() error {
	for _, dir := range []string{"", LedgerDir, filepath.Join(LedgerDir, "attachments")} {
		if err := durable.Sweep(filepath.Join(a.config.Data, dir), 0); err != nil {
			return err
		}
	}
	return nil
}

// clickHouseServer reads the URL of a ClickHouse server.
func clickHouseServer(address string) (*clickhouse.Options, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !slices.Contains([]string{"clickhouse", "http", "https"}, u.Scheme) {
		return nil, errors.New("clickhouse: want clickhouse://USER:PASSWORD@HOST:9000/DATABASE, or http:// or https:// with the port of ClickHouse's HTTP interface")
	}
	if query := u.Query(); u.Scheme == "https" && !query.Has("secure") { // clickhouse-go wants it said twice
		query.Set("secure", "true")
		u.RawQuery = query.Encode()
	}
	options, err := clickhouse.ParseDSN(u.String())
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
func (v *view) catchingUp() func(indexed, size uint64) {
	var told uint64
	return func(indexed, size uint64) {
		const step = 50_000
		if size-indexed < step || indexed < told+step {
			return
		}
		told = indexed
		v.deps.Logger.Info("indexing", "indexed", indexed, "ledger_size", size)
	}
}

// Close closes everything, in reverse order. It waits for what runs.
func (a *Aggregator) Close(ctx context.Context) error {
	var stateErr, indexErr, logErr, mapsErr error
	if a.state != nil {
		if err := a.keepBudgets(ctx); err != nil { // the day begins where it was kept last
			a.deps.Logger.WarnContext(ctx, "closing", "error", err)
		}
		stateErr = a.state.Close()
	}
	if a.maps != nil {
		mapsErr = a.maps.close()
	}
	if a.keeper != nil && a.store != nil {
		indexErr = a.keeper.close()
	}
	if a.log != nil {
		logErr = a.log.Close(ctx)
	}
	return errors.Join(stateErr, mapsErr, indexErr, logErr)
}
