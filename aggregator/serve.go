package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"repronet/aggregator/admin"
	"repronet/aggregator/query"
	"repronet/aggregator/schedule"
	"repronet/dashboard"
	"repronet/internal/wire/p2p"
)

// shutdownTimeout bounds the wait for requests that run when the server stops.
const shutdownTimeout = 20 * time.Second

// Serve runs the server until ctx ends. listening is called once, when requests
// are answered, with the addresses: first the HTTP URL, then multiaddrs.
func (a *Aggregator) Serve(ctx context.Context, listening func(addresses []string)) error {
	source := query.New(a.store, a.ledger, a.index)
	scheduler, err := schedule.New(a.jobs(source), a.deps.Logger, a.deps.Registry) //nolint:contextcheck // jobs get the context of Run
	if err != nil {
		return err
	}
	var loaded atomic.Bool
	handler, err := a.handler(source, scheduler, &loaded) //nolint:contextcheck // handlers have their requests' contexts
	if err != nil {
		return err
	}
	listeners, addresses, err := a.listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		group.Go(func() error { return serveHTTP(ctx, l, handler, a.deps.Logger) })
	}
	group.Go(func() error { return a.serveAdmin(ctx) })
	group.Go(func() error {
		if err := a.Load(ctx); err != nil {
			return fmt.Errorf("reading what the ledger holds: %w", err)
		}
		loaded.Store(true)
		listening(addresses)
		return nil
	})
	group.Go(func() error { return a.index.Run(ctx) })
	group.Go(func() error { scheduler.Run(ctx); return nil })
	return group.Wait()
}

// listen opens the HTTP listener and, where configured, libp2p's.
func (a *Aggregator) listen(ctx context.Context) (listeners []net.Listener, addresses []string, err error) {
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.config.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listening: %w", err)
	}
	listeners, addresses = append(listeners, plain), append(addresses, "http://"+plain.Addr().String())
	if len(a.config.Libp2p.Listen) == 0 {
		return listeners, addresses, nil
	}
	// Shutting the server down closes it, and lets requests finish first.
	peer, err := p2p.Listen(context.WithoutCancel(ctx), p2p.Config{
		Listen: a.config.Libp2p.Listen, KeyFile: filepath.Join(a.config.Data, "libp2p.key"), Logger: a.deps.Logger,
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listening: %w", err), plain.Close())
	}
	return append(listeners, peer), append(addresses, peer.Addrs()...), nil
}

// serveHTTP serves until ctx ends, then lets requests finish.
func serveHTTP(ctx context.Context, l net.Listener, handler http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ConnContext: p2p.ConnContext,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(deadline)
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serving: %w", err)
	}
	return <-stopped
}

// serveAdmin takes administrative commands on the socket, which only the owner
// of the data directory can open.
func (a *Aggregator) serveAdmin(ctx context.Context) error {
	path := SocketPath(a.config.Data)
	// The ledger's lock says that no other server lives: what is there is left over.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("opening the admin socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("opening the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: admin.Handler(a), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin socket: %w", err)
	}
	return nil
}

// handler puts the parts behind one router.
func (a *Aggregator) handler(source dashboard.Source, scheduler *schedule.Scheduler, loaded *atomic.Bool) (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.HandleMethodNotAllowed = true
	api := dashboard.NewAPI(router)
	pages, err := dashboard.New(dashboard.Config{
		URL: a.config.URL, Entry: a.ledger.Entry, Logger: a.deps.Logger,
		Jobs: func() []dashboard.Job { return dashboardJobs(scheduler.States()) },
	}, source)
	if err != nil {
		return nil, err
	}
	a.ingest.Register(router)
	a.joining.Register(router)
	a.registerPublic(router, source)
	a.registerHealth(router, loaded)
	pages.Register(router, api)
	return router, nil
}

func dashboardJobs(states []schedule.State) []dashboard.Job {
	jobs := make([]dashboard.Job, len(states))
	for i, s := range states {
		jobs[i] = dashboard.Job{Name: s.Name, Schedule: s.Schedule, LastRun: s.Last, Duration: s.Duration, Error: s.Err, Next: s.Next}
	}
	return jobs
}

// registerHealth adds the probes, which ask for different things: startup, that
// the ledger is read; readiness, that submissions are taken and the index
// answers; liveness, that the process answers at all.
func (a *Aggregator) registerHealth(router gin.IRouter, loaded *atomic.Bool) {
	answer := func(c *gin.Context, ok bool, text string) {
		if ok {
			c.String(http.StatusOK, "ok\n")
		} else {
			c.String(http.StatusServiceUnavailable, text+"\n")
		}
	}
	router.GET("/healthz/startup", func(c *gin.Context) { answer(c, loaded.Load(), "reading the ledger") })
	router.GET("/healthz/live", func(c *gin.Context) { answer(c, true, "") })
	router.GET("/healthz/ready", func(c *gin.Context) {
		_, err := a.store.Current().Watermark(c)
		answer(c, loaded.Load() && err == nil, "not ready")
	})
	a.deps.Registry.MustRegister(&sizes{a.log.Size, a.store, a.deps.Logger})
	metrics := promhttp.HandlerFor(a.deps.Registry, promhttp.HandlerOpts{})
	router.GET("/metrics", gin.WrapH(metrics))
}
