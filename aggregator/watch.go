package aggregator

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/schedule"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// watchJobs are the jobs that look after what people have to act on: their failures are in
// the log, on the status page, and in repronet_job_runs_total.
func (a *Aggregator) watchJobs() []schedule.Job {
	jobs := []schedule.Job{{
		Name: "old requests", Schedule: "@every 1h", Timeout: time.Minute,
		Run: func(ctx context.Context) error { return a.state.Expire(ctx, time.Now()) },
	}, {
		Name: "budgets", Schedule: "@every 1m", Timeout: 10 * time.Second, Run: a.keepBudgets,
	}}
	if a.config.Webhook != "" {
		jobs = append(jobs, schedule.Job{
			Name: "webhook", Schedule: "@every 1m", Timeout: time.Minute, Run: newWebhook(a.config.Webhook, a.config.URL, a.state).run,
		})
	}
	if a.witnesses != nil {
		jobs = append(jobs, schedule.Job{
			Name: "witnesses", Schedule: "@every 1m", Timeout: 10 * time.Second,
			Run: func(context.Context) error { return a.witnesses.check(a.log.Checkpoint()) },
		})
	}
	return jobs
}

// witnesses tells who cosigned the ledger's newest checkpoints.
type witnesses struct {
	policy *writer.WitnessPolicy
	each   []*ledger.Witnesses // one of each, in the policy's order

	mu   sync.Mutex
	seen map[string]time.Time // guarded by mu: the newest cosignature of each, by name
}

func newWitnesses(policy []byte) (*witnesses, error) {
	parsed, err := writer.ParseWitnesses(policy)
	if err != nil {
		return nil, err
	}
	w := &witnesses{policy: parsed, seen: map[string]time.Time{}}
	for _, witness := range parsed.Witnesses {
		one, err := ledger.NewWitnesses([]string{witness.Key}, 1)
		if err != nil {
			return nil, fmt.Errorf("reading witnesses: %s: %w", witness.Name, err)
		}
		w.each = append(w.each, one)
	}
	return w, nil
}

// look takes note of who cosigned a checkpoint, and returns the names of those who did not.
func (w *witnesses) look(c *ledger.Checkpoint) (missing []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, one := range w.each {
		name := w.policy.Witnesses[i].Name
		at, err := one.Check(c)
		if err != nil {
			missing = append(missing, name)
		} else if at.After(w.seen[name]) {
			w.seen[name] = at
		}
	}
	return missing
}

// check fails if a checkpoint was published without the quorum: users who pinned witnesses
// believe nothing newer than the last one that has it.
func (w *witnesses) check(c *ledger.Checkpoint) error {
	if c == nil {
		return nil
	}
	missing := w.look(c)
	if w.policy.Satisfied(c.Text) {
		return nil
	}
	return fmt.Errorf("the newest checkpoint, of %d entries, is published without a quorum of witnesses: %s did not cosign it; users who pinned them believe nothing newer until they do",
		c.Size, strings.Join(missing, ", "))
}

var (
	pendingEnrolments = prometheus.NewDesc("repronet_pending_enrolments", "Requests to be enrolled that wait for the operator.", nil, nil)
	cosigned          = prometheus.NewDesc("repronet_checkpoint_cosigned", "Whether a quorum of witnesses cosigned the newest checkpoint.", nil, nil)
	witnessSeen       = prometheus.NewDesc("repronet_witness_cosigned_timestamp_seconds",
		"When a witness cosigned the newest of the checkpoints that were looked at and have its cosignature.", []string{"witness"}, nil)
)

// watched is a collector of what people have to act on.
type watched struct{ *Aggregator }

// Describe implements [prometheus.Collector].
func (w watched) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- pendingEnrolments
	descriptions <- cosigned
	descriptions <- witnessSeen
}

// Collect implements [prometheus.Collector].
func (w watched) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout) // a collector is given none
	defer cancel()
	if n, err := w.state.Waiting(ctx, time.Now()); err != nil {
		w.deps.Logger.Warn("counting the requests that wait", "error", err)
	} else {
		metrics <- prometheus.MustNewConstMetric(pendingEnrolments, prometheus.GaugeValue, float64(n))
	}
	checkpoint := w.log.Checkpoint()
	if w.witnesses == nil || checkpoint == nil {
		return
	}
	w.witnesses.look(checkpoint)
	quorum := 0.0
	if w.witnesses.policy.Satisfied(checkpoint.Text) {
		quorum = 1
	}
	metrics <- prometheus.MustNewConstMetric(cosigned, prometheus.GaugeValue, quorum)
	w.witnesses.mu.Lock()
	defer w.witnesses.mu.Unlock()
	for name, at := range w.witnesses.seen {
		metrics <- prometheus.MustNewConstMetric(witnessSeen, prometheus.GaugeValue, float64(at.Unix()), name)
	}
}
