package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"

	"repronet/internal/wire"
	"repronet/reporter/filter"
	"repronet/reporter/spool"
	"repronet/reporter/submit"
)

// A Runner delivers what is in the spool.
type Runner struct {
	home   Home
	config *Config
	writer *spool.Writer
	signer signer
	http   *http.Client
	base   string
	logKey note.Verifier // nil before the first contact
	logger *slog.Logger
}

// requestTimeout bounds one request with its answer, which waits for the log's
// next checkpoint.
const requestTimeout = time.Minute

// NewRunner opens an installation to deliver from it. The error wraps
// spool.ErrLocked while another process does.
func NewRunner(home Home, logger *slog.Logger) (*Runner, error) {
	config, err := home.Config()
	if err != nil {
		return nil, err
	}
	r := &Runner{home: home, config: config, logger: logger}
	if r.http, r.base, err = wire.Client(config.Aggregator, requestTimeout); err != nil {
		return nil, err
	}
	if r.logKey, err = home.LogKey(); err != nil {
		return nil, err
	}
	if r.signer, err = home.signer(config); err != nil {
		return nil, err
	}
	if r.writer, err = home.Spool().Lock(); err != nil {
		return nil, errors.Join(err, r.signer.Close())
	}
	return r, nil
}

// Close lets go of the key and the spool.
func (r *Runner) Close() error {
	r.http.CloseIdleConnections()
	return errors.Join(r.signer.Close(), r.writer.Close())
}

// A Report is what one pass over the spool came to.
type Report struct {
	Acknowledged int // statements
	Refused      int // statements, for good
	Held         int // statements that the aggregator does not take from this builder
	Left         int // statements and records that are still to be delivered
	// Held statements' reason, as the aggregator says it.
	Reason string
}

// Pass seals what waits and tries once to deliver what is sealed. Its error is
// about delivering, and nothing is lost by it; it may be a *submit.RetryError.
func (r *Runner) Pass(ctx context.Context) (*Report, error) {
	report := &Report{}
	err := r.pass(ctx, report)
	if ctx.Err() == nil {
		contact := err
		if contact == nil && report.Held > 0 {
			contact = errors.New(report.Reason)
		}
		if err := r.writer.SetContact(contact); err != nil {
			return report, err
		}
	}
	status, statusErr := r.writer.Left()
	report.Left = status
	return report, errors.Join(err, statusErr)
}

func (r *Runner) pass(ctx context.Context, report *Report) error {
	if err := r.followKey(); err != nil {
		return err
	}
	if err := r.pinLogKey(ctx); err != nil {
		return err
	}
	sealErr := r.seal(ctx)
	return errors.Join(r.deliver(ctx, report), sealErr)
}

// followKey signs with the new key of an installation whose key was rotated.
func (r *Runner) followKey() error {
	config, err := r.home.Config()
	if err != nil {
		return err
	}
	if config.Builder != r.config.Builder {
		signer, err := r.home.signer(config)
		if err != nil {
			return err
		}
		older := r.signer
		r.signer, r.config = signer, config
		r.logger.Info("the key was rotated", "builder", config.Builder)
		if err := older.Close(); err != nil {
			return err
		}
	}
	if config.Keyless() {
		r.writer.Unchain()
		return nil
	}
	return r.writer.SignAs(config.Builder)
}

// pinLogKey trusts the aggregator's log key on first contact.
func (r *Runner) pinLogKey(ctx context.Context) (err error) {
	if r.logKey != nil {
		return nil
	}
	if r.logKey, err = r.home.pinnedLogKey(ctx, r.http, r.base); err != nil {
		return err
	}
	r.logger.Info("pinned the key of the aggregator's log", "log", r.logKey.Name())
	return nil
}

// seal makes statements of what waits, as far as it may leave the machine.
func (r *Runner) seal(ctx context.Context) error {
	waiting, err := r.writer.Waiting()
	if err != nil || waiting == 0 {
		return err
	}
	choose := func(string, string) spool.Choice { return spool.Send }
	var filterErr error
	if r.config.Report != ReportAll {
		sets := &filter.Sets{Dir: r.home.path(filterDir), Names: r.config.Sets, HTTP: r.http, Base: r.base}
		var members *filter.Filter
		members, filterErr = sets.Load(ctx)
		choose = func(ecosystem, key string) spool.Choice {
			switch {
			case members.Contains(ecosystem, key):
				return spool.Send
			case members.Complete():
				return spool.KeepPrivate
			default:
				return spool.Wait
			}
		}
	}
	sealed, err := r.writer.Seal(ctx, choose, r.signer.SignPayload)
	if sealed > 0 {
		r.logger.Info("signed statements", "statements", sealed)
	}
	return errors.Join(err, filterErr)
}

// deliver submits the outbox in groups that fit one request.
func (r *Runner) deliver(ctx context.Context, report *Report) error {
	names, err := r.writer.Outbox()
	if err != nil {
		return err
	}
	client := &submit.Client{HTTP: r.http, Base: r.base, LogKey: r.logKey}
	var errs []error
	for len(names) > 0 {
		var items []*spool.Item
		var bundles []submit.Bundle
		size := 0
		for len(names) > 0 && len(items) < submit.MaxBundles && size < submit.MaxSize {
			item, err := r.writer.Item(names[0])
			if err != nil {
				return err
			}
			items, bundles = append(items, item), append(bundles, submit.Bundle{JSON: item.Bundle, Payload: item.Payload})
			size += len(item.Bundle)
			names = names[1:]
		}
		answers, err := client.Submit(ctx, bundles)
		settleErr := r.settle(items, answers, report)
		if settleErr != nil || err != nil {
			return errors.Join(append(errs, err, settleErr)...)
		}
		for _, a := range answers {
			if a.Err != nil {
				errs = append(errs, a.Err)
				break
			}
		}
	}
	return errors.Join(errs...)
}

// settle takes from the outbox what the answers decided.
func (r *Runner) settle(items []*spool.Item, answers []submit.Answer, report *Report) error {
	var outcomes []spool.Outcome
	for i, a := range answers {
		log := r.logger.With("sequence", items[i].Sequence)
		switch {
		case a.Receipt != nil:
			report.Acknowledged++
			receipt, err := json.Marshal(a.Receipt.Inclusion())
			if err != nil {
				return err
			}
			outcomes = append(outcomes, spool.Outcome{Item: items[i], Index: a.Receipt.Index, Receipt: receipt})
		case a.Err != nil:
			log.Error("the aggregator's answer is not valid; the statement is kept", "error", a.Err)
			r.writer.Report("run", fmt.Sprintf("statement %d: the aggregator's answer is not valid: %v", items[i].Sequence, a.Err))
		case a.Problem.Status == http.StatusForbidden:
			report.Held++
			report.Reason = a.Problem.Error()
		case a.Problem.Permanent():
			report.Refused++
			log.Error("the aggregator refused a statement", "reason", a.Problem.Error())
			outcomes = append(outcomes, spool.Outcome{Item: items[i], Refusal: a.Problem.Error()})
		default:
			log.Warn("the aggregator did not take a statement", "reason", a.Problem.Error())
		}
	}
	if report.Acknowledged > 0 {
		r.logger.Info("statements acknowledged", "statements", report.Acknowledged)
	}
	return r.writer.Settle(outcomes)
}

// Delays between attempts that fail.
const (
	minDelay = 5 * time.Second
	maxDelay = 5 * time.Minute
)

// Run makes a pass every interval until ctx ends, and fewer while they fail.
func (r *Runner) Run(ctx context.Context, interval time.Duration) error {
	failures := 0
	for {
		delay := interval
		if r.idle() {
			failures = 0
		} else {
			report, err := r.Pass(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil || report.Left > 0 {
				delay = max(interval, backoff(failures, err))
				failures++
				r.logger.Warn("not everything was delivered", "left", report.Left, "retry_in", delay.Round(time.Second), "error", errors.Join(err, heldError(report)))
			} else {
				failures = 0
			}
			debug.FreeOSMemory() // a pass needs memory that the wait does not
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

func heldError(report *Report) error {
	if report.Held == 0 {
		return nil
	}
	return fmt.Errorf("%d statements are held: %s", report.Held, report.Reason)
}

// idle reports whether there is nothing to do; errors show in the pass.
func (r *Runner) idle() bool {
	left, err := r.writer.Left()
	return err == nil && left == 0 && r.logKey != nil
}

// backoff grows from minDelay to maxDelay, with jitter so that reporters that
// lost their aggregator together do not come back together. The aggregator may
// ask for more.
func backoff(failures int, err error) time.Duration {
	delay := min(maxDelay, minDelay<<min(failures+1, 10))
	delay = delay/2 + rand.N(delay/2) //nolint:gosec // no secret
	if retry, ok := errors.AsType[*submit.RetryError](err); ok && retry.After > delay {
		delay = retry.After + rand.N(minDelay) //nolint:gosec // no secret
	}
	return delay
}
