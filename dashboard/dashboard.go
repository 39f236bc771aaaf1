package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"repronet/ledger"
)

// Config configures a [Dashboard]. Its zero value is usable.
type Config struct {
	// URL is the public address of this aggregator, "https://example.org", for
	// the commands that pages offer to copy. Where it is empty, the address of
	// the request is taken.
	URL string
	// Entry reads an entry of the ledger. Where it is nil, pages and API offer
	// no evidence.
	Entry func(ctx context.Context, index uint64) (*ledger.Entry, error)
	// Jobs reports on the periodic jobs for the page /status.
	Jobs func() []Job
	// Logger gets what goes wrong while answering; slog.Default where nil.
	Logger *slog.Logger
}

// A Job is the state of one periodic job.
type Job struct {
	Name     string
	Schedule string    // as cron writes it
	LastRun  time.Time // zero before the first run
	Duration time.Duration
	Error    string // of the last run, "" if it went well
	Next     time.Time
}

// A Dashboard answers for the pages and the reading part of the API.
type Dashboard struct {
	config Config
	source Source
	assets *assets
	pages  map[string]*page
	// operations are the API's, for the page about it; set by Register.
	operations []operationRow
}

// New returns a dashboard over source.
func New(config Config, source Source) (*Dashboard, error) {
	if source == nil {
		return nil, errors.New("making dashboard: no source")
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Jobs == nil {
		config.Jobs = func() []Job { return nil }
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("making dashboard: %w", err)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("making dashboard: %w", err)
	}
	return &Dashboard{config: config, source: source, assets: assets, pages: pages}, nil
}

// Register adds the pages, their assets and the API's operations. What no route
// of the engine answers is answered here too, as a page or below /api/ as a
// problem.
func (d *Dashboard) Register(engine *gin.Engine, api huma.API) {
	d.registerAPI(engine, api)
	d.operations = describe(api)
	d.assets.register(engine)

	pages := engine.Group("/", d.recoverPanics, securityHeaders)
	for path, answer := range map[string]answer{
		"/":              d.overview,
		"/divergences":   d.divergences,
		"/builds/*name":  d.build,
		"/builders":      d.builders,
		"/builders/:id":  d.builder,
		"/status":        d.status,
		"/search":        d.search,
		"/method":        d.method,
		"/docs/problems": d.problems,
		"/docs/api":      d.apiGuide,
	} {
		pages.GET(path, d.handle(answer))
		pages.HEAD(path, d.handle(answer))
	}
	engine.NoRoute(securityHeaders, func(c *gin.Context) { d.unrouted(c, &notFoundError{"There is no such page."}) })
	engine.NoMethod(securityHeaders, func(c *gin.Context) { d.unrouted(c, &methodError{c.Request.Method}) })
}
