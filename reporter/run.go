package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/reporter/filter"
	"repronet.dev/reporter/spool"
	"repronet.dev/reporter/submit"
)

// A Runner delivers what is in the spool.
type Runner struct {
	home   Home
	config *Config
	writer *spool.Writer
	signer signer
	api    *api.Client
	logKey note.Verifier // nil before the first contact
	logger *slog.Logger

	auditor auditor
	seen    *ledger.Checkpoint // the newest that was compared; nil: none

	considered string    // the filter by which retained records were looked at last
	checked    time.Time // when a filter was loaded last

	store string    // URI of the Nix store that manifests are made of
	told  time.Time // when manifests were handed in last
}

// DefaultInterval is how long records usually gather before they are signed.
const DefaultInterval = 10 * time.Second

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
	if err := home.sweep(); err != nil {
		return nil, err
	}
	r := &Runner{home: home, config: config, logger: logger, store: os.Getenv("NIX_REMOTE"), auditor: auditor{every: auditEvery * DefaultInterval}}
	if r.api, err = api.Dial(config.Aggregator, requestTimeout); err != nil {
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
	if r.logKey != nil {
		if err := r.useLedger(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// Close lets go of the key and the spool.
func (r *Runner) Close() error {
	r.api.Close()
	return errors.Join(r.signer.Close(), r.writer.Close())
}

// A Report is what one pass over the spool came to.
type Report struct {
	Acknowledged int // statements
	Refused      int // statements, for good
	Held         int // statements that the aggregator does not take now, for what is not in them
	Left         int // statements and records that are still to be delivered
	Lost         int // statements that the ledger had acknowledged and lost; they are sent again
	// HeldReason is why the last of those that are held is, as the aggregator says it.
	HeldReason string
	// Reason is why the last of the other statements that are left was not taken, as the
	// aggregator says it.
	Reason string
}

// Err is what the aggregator said of the statements that it did not take now, nil if it
// took all of them.
func (r *Report) Err() error {
	var errs []error
	if r.Held > 0 {
		errs = append(errs, fmt.Errorf("%d statements are held: %s", r.Held, r.HeldReason))
	}
	if r.Reason != "" {
		errs = append(errs, errors.New(r.Reason))
	}
	return errors.Join(errs...)
}

// Pass seals what waits and tries once to deliver what is sealed. Its error is
// about delivering, and nothing is lost by it; it may be a *submit.RetryError.
func (r *Runner) Pass(ctx context.Context) (*Report, error) {
	report := &Report{}
	err := errors.Join(r.pass(ctx, report), r.writer.ExpireCopies())
	if ctx.Err() == nil {
		if err := r.writer.SetContact(report.Held, errors.Join(err, report.Err())); err != nil {
			return report, err
		}
	}
	left, leftErr := r.writer.Left()
	report.Left = left
	return report, errors.Join(err, leftErr)
}

func (r *Runner) pass(ctx context.Context, report *Report) error {
	if err := r.followKey(); err != nil {
		return err
	}
	if err := r.pinLogKey(ctx); err != nil {
		return err
	}
	if n, err := r.writer.Requeue(); err != nil {
		return err
	} else if n > 0 {
		r.logger.Info("refused statements are sent again", "statements", n)
	}
	if r.config.Audience == AudienceLedger {
		r.writer.Address(r.logKey.Name())
	}
	sealErr := r.seal(ctx)
	err := r.deliver(ctx, report)
	if err == nil && r.auditor.due() {
		if report.Lost, err = r.audit(ctx); report.Lost > 0 {
			err = errors.Join(err, r.deliver(ctx, report))
		}
	}
	return errors.Join(err, sealErr)
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
	if r.logKey, err = r.home.pinnedLogKey(ctx, r.api); err != nil {
		return err
	}
	r.logger.Info("pinned the key of the aggregator's log", "log", r.logKey.Name())
	return r.useLedger()
}

// seal makes statements of what waits, as far as it may leave the machine, and of
// what was retained and may leave it now.
func (r *Runner) seal(ctx context.Context) error {
	waiting, err := r.writer.Waiting()
	if err != nil {
		return err
	}
	retained, err := r.writer.Retained()
	if err != nil || waiting+retained == 0 {
		return err
	}
	choose := func(string, string) spool.Choice { return spool.Send }
	identity := ReportAll
	var filterErr error
	if r.config.Report != ReportAll {
		sets := &filter.Sets{Dir: r.home.path(filterDir), Names: r.config.Sets, API: r.api, LogKey: r.logKey}
		var members *filter.Filter
		members, filterErr = sets.Load(ctx)
		r.checked = time.Now()
		identity = members.Identity()
		choose = func(ecosystem, key string) spool.Choice {
			switch {
			case members.Contains(ecosystem, key):
				return spool.Send
			case members.Complete():
				return spool.Retain
			default:
				return spool.Wait
			}
		}
	}
	return errors.Join(r.sealBy(ctx, choose, identity), filterErr)
}

// sealBy seals what a choice sends. The identity is the choice's: retained records
// are looked at again only by another one.
func (r *Runner) sealBy(ctx context.Context, choose spool.Choose, identity string) error {
	sealed, err := r.writer.Seal(ctx, choose, r.signer.SignPayload)
	if err == nil && identity != r.considered {
		var moved int
		if moved, err = r.writer.Reconsider(choose); err == nil && moved > 0 {
			r.logger.Info("a package set has what was retained", "records", moved)
			var more int
			more, err = r.writer.Seal(ctx, choose, r.signer.SignPayload)
			sealed += more
		}
		if err == nil {
			r.considered = identity
		}
	}
	if sealed > 0 {
		r.logger.Info("signed statements", "statements", sealed)
	}
	return errors.Join(err, r.writer.Expire(r.config.Retention()))
}

// deliver submits the outbox in groups that fit one request. What is held, and why
// statements are left, is counted anew: nothing of it left the outbox before.
func (r *Runner) deliver(ctx context.Context, report *Report) error {
	report.Held, report.HeldReason, report.Reason = 0, "", ""
	names, err := r.writer.Outbox()
	if err != nil {
		return err
	}
	client := &submit.Client{API: r.api, LogKey: r.logKey}
	var errs []error
	refused := map[string]bool{} // streams of builders of whom nothing is taken now
	for {
		names = slices.DeleteFunc(names, func(name string) bool { return refused[spool.StreamOf(name)] })
		if len(names) == 0 {
			return errors.Join(errs...)
		}
		var items []*spool.Item
		var bundles []submit.Bundle
		size := 0
		for len(names) > 0 && len(items) < submit.MaxBundles && size < submit.MaxSize {
			item, err := r.writer.Item(names[0])
			if err != nil {
				return errors.Join(append(errs, err)...)
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
		noneTaken(refused, items, answers)
	}
}

// noneTaken adds the streams whose builder the aggregator does not take anything of, such
// as one that is not enrolled: of one, all answers of a request are that.
func noneTaken(refused map[string]bool, items []*spool.Item, answers []submit.Answer) {
	taken := map[string]bool{}
	for i, a := range answers {
		if a.Problem == nil || !slices.Contains([]api.ProblemKind{api.ProblemNotEnrolled, api.ProblemKeyNotValid}, a.Problem.Kind()) {
			taken[items[i].Stream] = true
		}
	}
	for _, item := range items {
		refused[item.Stream] = refused[item.Stream] || !taken[item.Stream]
	}
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
			outcomes = append(outcomes, spool.Outcome{Item: items[i], Index: a.Receipt.Index, Receipt: receipt, Leaf: tlog.RecordHash(a.Receipt.Entry)})
			signed, err := ledger.OpenCheckpoint([]byte(a.Receipt.Checkpoint), r.logKey)
			if err != nil {
				return err
			}
			r.auditor.acknowledged(a.Receipt, signed, r.seen)
		case a.Err != nil:
			log.Error("the aggregator's answer is not valid; the statement is kept", "error", a.Err)
			r.writer.Report("run", fmt.Sprintf("statement %d: the aggregator's answer is not valid: %v", items[i].Sequence, a.Err))
		case a.Problem.Held():
			report.Held++
			report.HeldReason = a.Problem.Error()
		case a.Problem.Permanent():
			report.Refused++
			log.Error("the aggregator refused a statement", "reason", a.Problem.Error())
			outcomes = append(outcomes, spool.Outcome{Item: items[i], Refusal: a.Problem.Error()})
		default:
			report.Reason = a.Problem.Error()
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
	r.auditor.every = auditEvery * interval
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
				r.logger.Warn("not everything was delivered", "left", report.Left, "retry_in", delay.Round(time.Second), "error", errors.Join(err, report.Err()))
			} else {
				failures = 0
			}
			debug.FreeOSMemory() // a pass needs memory that the wait does not
		}
		if failures == 0 { // an aggregator in trouble is not asked for more
			r.tellFiles(ctx)
		}
		if ctx.Err() != nil {
			return nil
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

// recheck is how often retained records are compared with the newest revisions of
// the chosen package sets while nothing else is to be done.
const recheck = time.Hour

// idle reports whether there is nothing to do; errors show in the pass.
func (r *Runner) idle() bool {
	left, err := r.writer.Left()
	if err != nil || left > 0 || r.logKey == nil || r.writer.RequeueAsked() || r.auditor.due() {
		return false
	}
	retained, err := r.writer.Retained()
	return err == nil && (retained == 0 || time.Since(r.checked) < recheck)
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
