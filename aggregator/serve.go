package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/aggregator/conns"
	"repronet.dev/aggregator/fair"
	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/reports"
	"repronet.dev/aggregator/schedule"
	"repronet.dev/dashboard"
	"repronet.dev/internal/wire/p2p"
)

// shutdownTimeout bounds the wait for requests that run when the server stops.
const shutdownTimeout = 20 * time.Second

// Serve runs the server until ctx ends. listening is called once, when requests
// are answered, with the addresses: first the HTTP URL, then multiaddrs.
func (a *Aggregator) Serve(ctx context.Context, listening func(addresses []string)) (err error) {
	source := a.source()
	kept, err := a.openReports(source)
	if err != nil {
		return err
	}
	scheduler, err := schedule.New(a.jobs(source, kept), a.deps.Logger, a.deps.Registry) //nolint:contextcheck,nolintlint // jobs get the context of Run
	if err != nil {
		return err
	}
	a.deps.Registry.MustRegister(watched{a})
	var loaded atomic.Bool
	connections, config, err := a.connections()
	if err != nil {
		return err
	}
	sql, end, err := a.openConsole(a.snapshots.newest) //nolint:contextcheck,nolintlint // it is closed when serving ends
	if err != nil {
		return err
	}
	defer end()
	router, err := a.router(config, sql, source, kept, scheduler, loaded.Load) //nolint:contextcheck,nolintlint // handlers have their requests' contexts
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, router.Close()) }()
	listeners, addresses, err := a.listen(ctx, connections.Max())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		group.Go(func() error { return serveHTTP(ctx, l, router, connections, a.deps.Logger) })
	}
	ready := make(chan struct{})
	group.Go(func() error { return a.serveAdmin(ctx, ready) })
	group.Go(func() error {
		if err := a.loadUntilDone(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // told to stop
			}
			return fmt.Errorf("reading what the ledger holds: %w", err)
		}
		loaded.Store(true)
		close(ready)
		listening(addresses)
		return nil
	})
	group.Go(func() error { return a.keeper.run(ctx) })
	group.Go(func() error { scheduler.Run(ctx); return nil })
	group.Go(func() error { a.notifier.Run(ctx); return nil })
	return group.Wait()
}

// source is what the index says.
func (a *Aggregator) source() *query.Query {
	return query.New(a.store, a.ledger, a.index).In(a.config.Origin)
}

// listen opens the HTTP listener and, where configured, libp2p's, which takes as many
// connections at most.
func (v *view) listen(ctx context.Context, most int) (listeners []net.Listener, addresses []string, err error) {
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", v.config.Listen)
	if err != nil {
		return nil, nil, cannotListen(v.config.Listen, err)
	}
	listeners, addresses = append(listeners, plain), append(addresses, "http://"+plain.Addr().String())
	if len(v.config.Libp2p.Listen) == 0 {
		return listeners, addresses, nil
	}
	// Shutting the server down closes it, and lets requests finish first.
	peer, err := p2p.Listen(context.WithoutCancel(ctx), p2p.Config{
		Listen: v.config.Libp2p.Listen, KeyFile: filepath.Join(v.config.Data, "libp2p.key"), MaxConns: most, Logger: v.deps.Logger,
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listening: %w", err), plain.Close())
	}
	return append(listeners, peer), append(addresses, peer.Addrs()...), nil
}

// serveHTTP serves until ctx ends, then lets requests finish.
func serveHTTP(ctx context.Context, l net.Listener, handler http.Handler, connections *conns.Limiter, logger *slog.Logger) error {
	server := &http.Server{
		Handler: impatient(ctx, handler), ConnContext: p2p.ConnContext, ConnState: connections.ConnState,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	if err := serveUntil(ctx, server, l); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// serveUntil serves until ctx ends, then lets requests finish: those that are not
// done in time are cut off.
func serveUntil(ctx context.Context, server *http.Server, l net.Listener) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := server.Shutdown(deadline)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}

// connections returns what limits the listeners' connections, and the router's configuration
// as far as it is the same for every server.
func (v *view) connections() (*conns.Limiter, web.Config, error) {
	proxies, err := v.config.proxies()
	if err != nil {
		return nil, web.Config{}, err
	}
	connections := conns.New(conns.Config{Max: v.config.MaxConnections, Networks: fair.Behind(proxies), Registry: v.deps.Registry})
	return connections, web.Config{
		MaxConnections: connections.Max(), Proxies: proxies, Dashboard: dashboard.Config{URL: v.config.URL},
		Logger: v.deps.Logger, Registry: v.deps.Registry, TempDir: v.config.Data,
	}, nil
}

// router puts the parts behind one router.
func (a *Aggregator) router(config web.Config, sql web.SQL, source *query.Query, kept *reports.Reports, scheduler *schedule.Scheduler, started func() bool) (*web.Server, error) {
	a.deps.Registry.MustRegister(&sizes{a.log.Size, a.store, a.deps.Logger}, build())
	config.Dashboard.Jobs = func() []dashboard.Job { return dashboardJobs(scheduler.States()) }
	config.Dashboard.Subscriptions = a.notifier
	config.Dashboard.Waiting = func(ctx context.Context) (int, error) { return a.state.Waiting(ctx, time.Now()) }
	parts := a.parts(source, a.ledgerDir())
	parts.Ingest, parts.Joining, parts.Roster, parts.MapProof = a.ingest, a.joining, a.rosterDocument, a.maps.prove
	parts.MapBucket, parts.MapIndex = a.maps.proveBucket, a.maps.index
	parts.Filter = func(ctx context.Context, set string) (*web.Filter, error) { return a.setFilter(ctx, source, set) }
	parts.SQL, parts.Reports = sql, kept
	parts.Snapshots = web.Snapshots{Dir: a.snapshots.dir, List: a.snapshots.list}
	parts.Started, parts.Healthy = started, a.log.Trouble
	return web.New(config, parts)
}

func dashboardJobs(states []schedule.State) []dashboard.Job {
	jobs := make([]dashboard.Job, len(states))
	for i, s := range states {
		jobs[i] = dashboard.Job{Name: s.Name, Schedule: s.Schedule, LastRun: s.Last, Duration: s.Duration, Error: s.Err, Next: s.Next}
	}
	return jobs
}
