package monitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/ledger"
	"repronet.dev/ledger/replica"
	"repronet.dev/reading"
	"repronet.dev/verify"
)

// A Kind says what is wrong.
type Kind string

// The kinds of alerts, see the package's documentation.
const (
	Fork        Kind = "fork"
	Dropped     Kind = "dropped"
	Rewritten   Kind = "rewritten"
	Shrunk      Kind = "shrunk"
	Stale       Kind = "stale"
	Chain       Kind = "chain"
	Unreachable Kind = "unreachable"
	Uncosigned  Kind = "uncosigned"
	MapRoot     Kind = "maproot"
	Builders    Kind = "builders"
	Revoked     Kind = "revoked"
	Newer       Kind = "newer"
)

// An Alert is something wrong.
type Alert struct {
	Kind     Kind   `json:"alert"`
	Detail   string `json:"detail"`
	Evidence string `json:"evidence,omitempty"` // file with the proof
}

// Invalid reports whether the alert says that the log itself, or what is derived from
// it, is wrong, or not to be relied on.
func (a Alert) Invalid() bool {
	return a.Convicts() || slices.Contains([]Kind{Rewritten, Uncosigned, Builders}, a.Kind)
}

// Convicts reports whether the alert proves itself.
func (a Alert) Convicts() bool { return slices.Contains([]Kind{Fork, Dropped, MapRoot}, a.Kind) }

// Undecided reports whether the alert says that only a newer program can tell: it is no
// finding against the log.
func (a Alert) Undecided() bool { return a.Kind == Newer }

// Config says what to follow.
type Config struct {
	Mirror *verify.Mirror
	// Aggregator is whose ledger and builder list are looked at.
	Aggregator *verify.Aggregator
	Key        note.Verifier
	// Maps is the directory of what the audit of map roots keeps. "": they are
	// not audited.
	Maps string
	// MaxAge is how old the newest state may be, see verify.Mirror.Alive. 0: any.
	MaxAge time.Duration
	// Reporter is whose statements must all be there. nil: nobody's.
	Reporter *Reporter
	Progress verify.Progress
}

// A Monitor makes rounds. It is for one goroutine.
type Monitor struct {
	Config
	chains   *chains
	audit    *audit
	receipts int // of the reporter's, that were compared
}

// New returns a monitor.
func New(config Config) *Monitor {
	return &Monitor{Config: config, chains: newChains(), audit: &audit{dir: config.Maps}}
}

// Round looks at everything once. An error is of this machine, not of the log.
func (m *Monitor) Round(ctx context.Context) ([]Alert, error) {
	var alerts []Alert
	raise := func(kind Kind, err error) {
		a := Alert{Kind: kind, Detail: err.Error()}
		if convicted, ok := errors.AsType[*replica.ConvictedError](err); ok {
			a.Evidence = convicted.Path
		}
		alerts = append(alerts, a)
	}
	seen := m.Mirror.Tree().Size()
	builders, listErr := m.Aggregator.BuilderList(ctx, m.Key) // before the ledger, which is newer then
	err := m.Mirror.Update(ctx, m.Aggregator.Log(), m.Progress)
	_, fork := errors.AsType[*ledger.ForkError](err)
	newer := errors.Is(err, reading.ErrNewerRules)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case fork:
		raise(Fork, err)
	case errors.Is(err, ledger.ErrInvalid):
		raise(Rewritten, err)
	case errors.Is(err, ledger.ErrNotCosigned):
		raise(Uncosigned, err)
	case errors.Is(err, verify.ErrStale):
		raise(Shrunk, err)
	case err != nil && !newer:
		raise(Unreachable, err)
	default:
		if newer {
			raise(Newer, err)
		}
		if err := m.reread(ctx); errors.Is(err, ledger.ErrInvalid) {
			raise(Rewritten, err)
		} else if err != nil {
			raise(Unreachable, err)
		}
		if listErr == nil {
			listErr = m.Mirror.CheckBuilders(ctx, builders, seen)
		}
		switch {
		case listErr == nil, errors.Is(listErr, fs.ErrNotExist): // not every copy of a log has one beside it
		case errors.Is(listErr, reading.ErrNewerRules): // was said
		case errors.Is(listErr, verify.ErrBuilders), errors.Is(listErr, verify.ErrStale), errors.Is(listErr, ledger.ErrInvalid):
			raise(Builders, listErr)
		default:
			raise(Unreachable, listErr)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if m.Maps != "" {
		err := m.audit.run(ctx, m.Mirror.Tree(), m.receipt, func(a Alert) { alerts = append(alerts, a) })
		if err != nil {
			return nil, err
		}
	}
	if err := m.Mirror.CheckAge(ctx, m.MaxAge); errors.Is(err, verify.ErrTooOld) || errors.Is(err, verify.ErrAhead) {
		raise(Stale, err)
	} else if err != nil {
		return nil, err
	}
	if m.Reporter == nil {
		return alerts, nil
	}
	return alerts, m.checkReporter(ctx, raise)
}

// receipt proves that an entry is in the mirror's tree.
func (m *Monitor) receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	c, tree := m.Mirror.Checkpoint(), m.Mirror.Tree()
	record, err := tree.Record(ctx, index)
	if err != nil {
		return nil, err
	}
	proof, err := tree.ProveInclusion(ctx, index)
	if err != nil {
		return nil, err
	}
	return &ledger.Receipt{Index: index, Entry: record.Data, Proof: proof, Checkpoint: string(c.Text)}, nil
}

// reread is how many bundles are read again in a round.
const rereadBundles = 4

// reread fetches some entries that the mirror has, and checks that they are still
// those of the tree.
func (m *Monitor) reread(ctx context.Context) error {
	remote := ledger.NewReader(m.Aggregator.Log(), m.Key)
	latest, err := remote.Checkpoint(ctx)
	if err != nil {
		return err
	}
	bundles := (latest.Size + ledger.BundleWidth - 1) / ledger.BundleWidth
	tree := remote.Tree(latest)
	for range min(rereadBundles, bundles) {
		n := rand.Uint64N(bundles) //nolint:gosec // no secret
		if bundles <= rereadBundles {
			bundles--
			n = bundles
		}
		if _, err := tree.Bundle(ctx, n); err != nil {
			return fmt.Errorf("reading entries from %d on again: %w", n*ledger.BundleWidth, err)
		}
	}
	return nil
}
