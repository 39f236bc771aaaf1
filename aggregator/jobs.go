package aggregator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/reports"
	"repronet.dev/aggregator/schedule"
	"repronet.dev/dashboard"
)

// jobs are the periodic jobs. None of them moves a verdict, but by an entry of the
// ledger.
func (a *Aggregator) jobs(source *query.Query, kept *reports.Reports) []schedule.Job {
	jobs := []schedule.Job{
		// It reads all outputs: with millions of them it takes a tenth of the time, and no more.
		{Name: "roll-ups", Schedule: "@every 1m", Timeout: 5 * time.Minute, Run: a.index.RollUp, Rest: 9},
		{Name: "checkpoint freshness", Schedule: "@every 1m", Timeout: 10 * time.Second, Run: a.checkFreshness},
		{Name: "verifiable map", Schedule: "@every " + a.config.MapInterval.String(), Timeout: mapTimeout, Run: a.maps.commit},
		{Name: "stale builders", Schedule: "@every 1h", Timeout: time.Minute, Run: func(ctx context.Context) error {
			return a.noticeStale(ctx, source)
		}},
		{Name: "old manifests", Schedule: "41 4 * * *", Timeout: time.Hour, Run: kept.Sweep},
	}
	if a.config.Snapshots.Keep > 0 {
		jobs = append(jobs, schedule.Job{Name: "snapshot", Schedule: a.config.Snapshots.Schedule, Timeout: 12 * time.Hour, Run: a.snapshots.nightly})
	}
	if len(a.config.Caches) > 0 {
		jobs = append(jobs, schedule.Job{
			Name: "references", Schedule: "@every 10m", Timeout: 9 * time.Minute, Run: newReferences(a, source).run,
		})
	}
	return append(jobs, append(a.watchJobs(), a.noticeJobs(source)...)...)
}

// checkFreshness fails when the published checkpoint lags behind the ledger: then
// no sender gets a receipt.
func (a *Aggregator) checkFreshness(ctx context.Context) error {
	size := a.log.Size()
	select {
	case <-time.After(5 * a.config.CheckpointInterval):
	case <-ctx.Done():
		return nil // an interval longer than the job may take cannot be judged
	}
	if checkpoint := a.log.Checkpoint(); size > 0 && (checkpoint == nil || checkpoint.Size < size) {
		return fmt.Errorf("the ledger had %d entries five checkpoint intervals ago, and no checkpoint covers them", size)
	}
	return nil
}

// noticeStale logs the builders that were heard of before and are silent now.
func (a *Aggregator) noticeStale(ctx context.Context, source dashboard.BuilderSource) error {
	builders, err := source.Builders(ctx)
	if err != nil {
		return err
	}
	for _, b := range builders {
		if slices.Contains(b.Flags, "stale") {
			a.deps.Logger.WarnContext(ctx, "builder is silent", "builder", b.ID, "operator", b.Operator, "last_seen", b.LastSeen)
		}
	}
	return nil
}
