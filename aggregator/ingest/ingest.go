package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/evidence/kinds"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/signing"
)

// Log is the ledger's writer.
type Log interface {
	// Append returns the entry's index when it is durable.
	Append(ctx context.Context, kind ledger.Kind, body []byte) (uint64, error)
	// Receipt waits until a published checkpoint covers the index.
	Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error)
	// Size returns the number of durable entries.
	Size() uint64
}

// Config is how much an Ingest takes on at once. The zero value is usable.
type Config struct {
	// MaxInFlight bounds the decompressed bytes of all requests that are being
	// read or worked on; beyond it a request is turned away with 503. Default
	// 256 MiB.
	MaxInFlight int64
	// ReceiptTimeout bounds the wait for a checkpoint that covers a
	// submission. Default 15 s.
	ReceiptTimeout time.Duration
	Logger         *slog.Logger
	// Registry takes the metrics, if there is one.
	Registry prometheus.Registerer
}

// Ingest takes submissions and administrative entries. Its zero value does not
// work; use [New].
type Ingest struct {
	config     Config
	log        Log
	roster     *enrolment.Roster
	keys       *kinds.Keys   // of roster
	uncounted  *rate.Limiter // of evidence that does not count
	duplicates *duplicates
	inFlight   *semaphore.Weighted
	verifying  chan struct{} // holds a value for each statement being verified
	metrics    *metrics
	ready      atomic.Bool
	admin      sync.Mutex // held from the check of an administrative entry to its effect
}

// New returns an Ingest that writes to log. It answers 503 until [Ingest.Ready]
// is called, because a claim can only be recognised as new when all earlier ones
// were made known by [Ingest.Known].
//
// Certificates that the roster names are in attachments.
func New(config Config, log Log, roster *enrolment.Roster, attachments kinds.Attachments) *Ingest {
	if config.MaxInFlight == 0 {
		config.MaxInFlight = 256 << 20
	}
	if config.ReceiptTimeout == 0 {
		config.ReceiptTimeout = 15 * time.Second
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ingest{
		config: config, log: log, roster: roster, duplicates: newDuplicates(),
		keys: kinds.NewKeys(roster, attachments), uncounted: rate.NewLimiter(rate.Every(uncountedEvery), uncountedBurst),
		inFlight: semaphore.NewWeighted(config.MaxInFlight), verifying: make(chan struct{}, runtime.GOMAXPROCS(0)),
		metrics: newMetrics(config.Registry),
	}
}

// Known notes a claim that the ledger holds at index.
func (in *Ingest) Known(builder signing.BuilderID, payload attestation.Digest, index uint64) {
	in.duplicates.add(newClaimKey(builder, payload), index)
}

// Ready opens the way in.
func (in *Ingest) Ready() { in.ready.Store(true) }

// Submit verifies a bundle and writes it to the ledger. It returns the index
// when the entry is durable, and whether the claim was there before.
func (in *Ingest) Submit(ctx context.Context, bundle []byte) (index uint64, duplicate bool, problem *wire.Problem) {
	verified, problem := in.open(ctx, bundle)
	if problem != nil {
		return 0, false, problem
	}
	key := newClaimKey(verified.Builder(), verified.PayloadDigest())
	index, duplicate, err := in.duplicates.once(ctx, key, func() (uint64, error) {
		// A sender that goes away must not leave the claim written but
		// unknown to the duplicate check.
		return in.log.Append(context.WithoutCancel(ctx), ledger.Attestation, bundle)
	})
	switch {
	case errors.Is(err, ledger.ErrTooLarge):
		return 0, false, in.problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("The statement is larger than a ledger entry can hold (%d bytes, compressed): split it.", ledger.MaxEntrySize))
	case err != nil:
		in.config.Logger.ErrorContext(ctx, "appending to the ledger", "error", err)
		return 0, false, in.problem(http.StatusServiceUnavailable, "try-later", "The ledger did not take the statement: send it again later.")
	}
	if duplicate {
		in.metrics.bundles.WithLabelValues("duplicate").Inc()
		return index, true, nil
	}
	in.metrics.bundles.WithLabelValues("accepted").Inc()
	in.metrics.outputs.Add(float64(len(verified.Statement().Subjects)))
	return index, false, nil
}

// open verifies a bundle, at most as many at once as there are processors: a
// parsed statement takes several times the memory of its bytes.
func (in *Ingest) open(ctx context.Context, bundle []byte) (*signing.Verified, *wire.Problem) {
	in.verifying <- struct{}{}
	defer func() { <-in.verifying }()
	now := time.Now()
	verified, err := signing.OpenAny(ctx, bundle, in.roster.Lookup, in.keys.Keyless, now)
	switch {
	case err == nil:
	case signing.IsRefusal(err):
		return nil, in.refuse(err)
	default:
		in.config.Logger.ErrorContext(ctx, "reading a trusted root", "error", err)
		return nil, in.problem(http.StatusServiceUnavailable, "try-later", "The trusted root of the builder cannot be read: send it again later.")
	}
	if err := verified.Statement().CheckClock(now); err != nil {
		return nil, in.problem(http.StatusBadRequest, "clock", err.Error())
	}
	return verified, nil
}

// refuse says in a problem document why a bundle was not opened.
func (in *Ingest) refuse(err error) *wire.Problem {
	switch {
	case errors.Is(err, kinds.ErrUnknownIdentity):
		return in.problem(http.StatusForbidden, "not-enrolled", fmt.Sprintf("%v: ask who runs the aggregator to enrol the identity.", err))
	case errors.Is(err, signing.ErrUnknownBuilder):
		return in.problem(http.StatusForbidden, "not-enrolled",
			fmt.Sprintf("%v: ask for it with 'repronet-reporter enrol'.", err))
	case errors.Is(err, signing.ErrKeyNotValid):
		return in.problem(http.StatusForbidden, "key-not-valid", fmt.Sprintf("%v: sign with a key that is enrolled and valid.", err))
	case errors.Is(err, signing.ErrSignature):
		return in.problem(http.StatusForbidden, "bad-signature", err.Error())
	case errors.Is(err, signing.ErrTooLarge):
		return in.problem(http.StatusRequestEntityTooLarge, "too-large", err.Error())
	default:
		return in.problem(http.StatusBadRequest, "malformed", err.Error())
	}
}

func (in *Ingest) problem(status int, kind, detail string) *wire.Problem {
	in.metrics.bundles.WithLabelValues(kind).Inc()
	return wire.NewProblem(status, kind, detail)
}

// receipt fetches the receipt of an entry that is durable already.
func (in *Ingest) receipt(ctx context.Context, index uint64) (*ledger.Receipt, *wire.Problem) {
	ctx, cancel := context.WithTimeout(ctx, in.config.ReceiptTimeout)
	defer cancel()
	receipt, err := in.log.Receipt(ctx, index)
	if err != nil {
		in.config.Logger.ErrorContext(ctx, "issuing receipt", "index", index, "error", err)
		return nil, in.problem(http.StatusServiceUnavailable, "try-later",
			"The statement is in the ledger, but no checkpoint covers it yet: send it again later to get its receipt.")
	}
	return receipt, nil
}

// metrics are the counters of the package. Labels are kinds of problems, never
// names from outside.
type metrics struct {
	bundles *prometheus.CounterVec
	outputs prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		bundles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_ingest_bundles_total", Help: "Bundles received, by what became of them.",
		}, []string{"result"}),
		outputs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "repronet_ingest_outputs_total", Help: "Outputs named by accepted bundles.",
		}),
	}
	if registry != nil {
		registry.MustRegister(m.bundles, m.outputs)
	}
	return m
}
