package aggregator

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/schedule"
	"repronet.dev/dashboard"
)

// Serve runs the follower until ctx ends, or the followed log is convicted. listening is
// called once, as [Aggregator.Serve] has it; what is answered before the copy is up to date
// says so.
func (f *Follower) Serve(ctx context.Context, listening func(addresses []string)) (err error) {
	source := query.New(f.store, f.ledger, f.index).In(f.config.Origin)
	jobs := []schedule.Job{{Name: "roll-ups", Schedule: "@every 1m", Timeout: 5 * time.Minute, Run: f.index.RollUp, Rest: 9}}
	scheduler, err := schedule.New(jobs, f.deps.Logger, f.deps.Registry) //nolint:contextcheck,nolintlint // jobs get the context of Run
	if err != nil {
		return err
	}
	f.deps.Registry.MustRegister(follows{f}, &sizes{f.ledger.Size, f.store, f.deps.Logger}, build())
	connections, config, err := f.connections()
	if err != nil {
		return err
	}
	config.Dashboard.Jobs = func() []dashboard.Job { return append(dashboardJobs(scheduler.States()), f.job()) }
	parts := f.parts(source, f.replica.Dir())
	parts.Started, parts.Healthy = func() bool { return true }, f.behind
	parts.Writer = &web.Writer{Base: f.writer.Base, Transport: f.writer.HTTP.Transport}
	router, err := web.New(config, parts) //nolint:contextcheck,nolintlint // handlers have their requests' contexts
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, router.Close()) }()
	listeners, addresses, err := f.listen(ctx, connections.Max())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		group.Go(func() error { return serveHTTP(ctx, l, router, connections, f.deps.Logger) })
	}
	group.Go(func() error { return f.run(ctx) })
	group.Go(func() error { return f.keeper.run(ctx) })
	group.Go(func() error { scheduler.Run(ctx); return nil })
	listening(addresses)
	return group.Wait()
}

// job shows the following among the periodic jobs.
func (f *Follower) job() dashboard.Job {
	job := dashboard.Job{Name: "following " + f.config.Follow, Schedule: "@every " + f.config.CheckpointInterval.String()}
	if seen := f.seen.Load(); seen != 0 {
		job.LastRun = time.Unix(seen, 0)
	}
	if trouble := f.trouble.Load(); trouble != nil {
		job.Error = *trouble
	}
	return job
}
