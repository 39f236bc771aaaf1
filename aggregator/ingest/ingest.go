package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"repronet.dev/aggregator/fair"
	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// Log is the ledger's writer.
type Log interface {
	// AppendPacked returns the entry's index when it is durable.
	AppendPacked(ctx context.Context, entry ledger.Packed) (uint64, error)
	// Receipt waits until a published checkpoint covers the index.
	Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error)
	// Size returns the number of durable entries.
	Size() uint64
}

// Config is how much an Ingest takes on at once. The zero value is usable.
type Config struct {
	// ReceiptTimeout bounds the wait for a checkpoint that covers a
	// submission. Default 15 s.
	ReceiptTimeout time.Duration
	// Attach stores an attachment durably. Without it, evidence that no entry can
	// hold is refused.
	Attach func(content io.Reader) (ledger.AttachmentID, error)
	// Budget is how many bytes of ledger and attachments are written in a day.
	Budget Budget
	// Origin is the ledger's. Without it no statement is taken that names the ledgers in
	// which it counts.
	Origin string
	// Recent takes the statements that are written to the ledger, for who indexes them.
	Recent *reading.Recent
	Logger *slog.Logger
	// Registry takes the metrics, if there is one.
	Registry prometheus.Registerer
}

// Ingest takes submissions and administrative entries. Its zero value does not
// work; use [New].
type Ingest struct {
	config     Config
	log        Log
	roster     *enrolment.Roster
	reader     *reading.Reader // under the keys of roster
	spending   *spending
	duplicates *duplicates
	verifying  *fair.Pool // has a place for each processor
	metrics    *metrics
	ready      atomic.Bool
	complaints rate.Sometimes
	admin      sync.Mutex // held from the check of an administrative entry to its effect
}

// New returns an Ingest that writes to log. It takes nothing until [Ingest.Ready]
// is called, because a claim can only be recognised as new when all earlier ones
// were made known by [Ingest.Known].
//
// Certificates that the roster names are in attachments.
func New(config Config, log Log, roster *enrolment.Roster, attachments reading.Attachments) *Ingest {
	if config.ReceiptTimeout == 0 {
		config.ReceiptTimeout = 15 * time.Second
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	config.Budget = config.Budget.orDefault()
	in := &Ingest{
		config: config, log: log, roster: roster, duplicates: newDuplicates(), spending: newSpending(),
		reader:    reading.New(roster, attachments).In(config.Origin),
		verifying: fair.NewPool(fair.Config{Capacity: int64(runtime.GOMAXPROCS(0))}),
		metrics:   newMetrics(config.Registry), complaints: rate.Sometimes{Interval: time.Minute},
	}
	if config.Registry != nil {
		in.register(config.Registry)
	}
	return in
}

// complain logs trouble with the ledger, which all requests have at once, once a
// minute.
func (in *Ingest) complain(ctx context.Context, doing string, err error) {
	in.complaints.Do(func() { in.config.Logger.ErrorContext(ctx, "using the ledger", "doing", doing, "error", err) })
}

// Known notes a statement or a document that the ledger holds at index.
func (in *Ingest) Known(key reading.Key, index uint64) { in.duplicates.add(key, index) }

// Ready opens the way in.
func (in *Ingest) Ready() { in.ready.Store(true) }

// CheckReady returns an error before [Ingest.Ready] was called, so that no submission
// is read that would not be taken.
func (in *Ingest) CheckReady() error {
	if in.ready.Load() {
		return nil
	}
	return in.problem(api.ProblemTryLater, "The aggregator is starting: it reads its ledger first.")
}

// append writes an entry that no budget bounds.
func (in *Ingest) append(ctx context.Context, kind ledger.Kind, body []byte) (index uint64, err error) {
	entry, err := ledger.Pack(kind, body)
	if err != nil {
		return 0, err
	}
	return in.log.AppendPacked(ctx, entry)
}

// Submit verifies a bundle and writes it to the ledger. It returns the index
// when the entry is durable, and whether the claim was there before. An error is an
// [api.Problem], or wraps one of package signing's sentinels.
func (b *Batch) Submit(ctx context.Context, bundle []byte) (index uint64, duplicate bool, err error) {
	in := b.in
	if err := in.CheckReady(); err != nil {
		return 0, false, err
	}
	verified, err := b.open(ctx, bundle)
	if err != nil {
		return 0, false, err
	}
	index, duplicate, err = in.duplicates.once(ctx, verified.Key, func() (uint64, error) {
		pack := ledger.Pack
		if b.folds {
			pack = ledger.PackFolded
		}
		entry, err := pack(reading.KindOf(verified.Statement), bundle)
		if err != nil {
			return 0, err
		}
		return in.within(in.accountsOf(verified.Builder), entrySize(entry), func() (uint64, int, error) {
			// A sender that goes away must not leave the claim written but
			// unknown to the duplicate check.
			in.config.Recent.Put(bundle, verified) // before the entry can be read
			index, err := in.log.AppendPacked(context.WithoutCancel(ctx), entry)
			return index, 0, err
		})
	})
	over, isOver := errors.AsType[*overBudget](err)
	switch {
	case isOver:
		return 0, false, in.overBudget(over)
	case errors.Is(err, ledger.ErrTooLarge):
		return 0, false, in.problem(api.ProblemTooLarge, fmt.Sprintf("The statement is larger than a ledger entry can hold (%d bytes, compressed): split it.", ledger.MaxEntrySize))
	case err != nil:
		in.complain(ctx, "appending to the ledger", err)
		return 0, false, in.problem(api.ProblemTryLater, "The ledger did not take the statement: send it again later.")
	}
	if duplicate {
		in.metrics.bundles.WithLabelValues("duplicate").Inc()
		return index, true, nil
	}
	in.metrics.bundles.WithLabelValues("accepted").Inc()
	in.metrics.outputs.Add(float64(len(verified.Subjects)))
	return index, false, nil
}

// open verifies a bundle.
func (b *Batch) open(ctx context.Context, bundle []byte) (*reading.Statement, error) {
	leave, err := b.checking(ctx, b.party(bundle), len(bundle))
	if err != nil {
		return nil, err
	}
	defer leave()
	in := b.in
	now := time.Now()
	verified, err := in.reader.Statement(ctx, bundle, now)
	if refused, ok := errors.AsType[*reading.Refused](err); ok {
		in.metrics.bundles.WithLabelValues("refused").Inc()
		return nil, b.refuse(refused)
	}
	if err != nil {
		in.config.Logger.ErrorContext(ctx, "reading a trusted root", "error", err)
		return nil, in.problem(api.ProblemTryLater, "The trusted root of the builder cannot be read: send it again later.")
	}
	if err := verified.CheckClock(now); err != nil {
		return nil, b.refuse(in.problem(api.ProblemClock, err.Error()))
	}
	return verified, nil
}

func (in *Ingest) problem(kind api.ProblemKind, detail string) error {
	in.metrics.bundles.WithLabelValues(string(kind)).Inc()
	return api.NewProblem(kind, detail)
}

// Receipt fetches the receipt of an entry that is durable already.
func (in *Ingest) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, in.config.ReceiptTimeout)
	defer cancel()
	receipt, err := in.log.Receipt(ctx, index)
	if err != nil {
		in.complain(ctx, "issuing receipt", err)
		return nil, in.problem(api.ProblemTryLater,
			"The statement is in the ledger, but no checkpoint covers it yet: send it again later to get its receipt.")
	}
	return receipt, nil
}

// metrics are the counters of the package. Labels are kinds of problems, never
// names from outside.
type metrics struct {
	bundles *prometheus.CounterVec
	outputs prometheus.Counter
	written *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		bundles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_ingest_bundles_total", Help: "Bundles received, by what became of them.",
		}, []string{"result"}),
		outputs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "repronet_ingest_outputs_total", Help: "Outputs named by accepted bundles.",
		}),
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_ingest_written_bytes_total", Help: "Bytes of ledger and attachments that submissions took, by whose they are: of builders of tier counted or open, or uncounted, of documents by keys that are not enrolled.",
		}, []string{"tier"}),
	}
	if registry != nil {
		registry.MustRegister(m.bundles, m.outputs, m.written)
	}
	return m
}
