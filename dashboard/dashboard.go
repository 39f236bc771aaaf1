package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
	"repronet.dev/ledger"
)

// Config configures a [Dashboard]. Its zero value is usable.
type Config struct {
	// URL is the public address of this aggregator, "https://example.org", for
	// the commands that pages offer to copy. Where it is empty, the address is taken that
	// the request's connection was made to. What a request says of it is never
	// repeated: a command is run by who copies it.
	URL string
	// Entry reads an entry of the ledger. Where it is nil, pages and API offer
	// no evidence.
	Entry func(ctx context.Context, index uint64) (*ledger.Entry, error)
	// Suggestions says what of a package set is worth building next, for the page
	// /coverage; it returns [ErrNotFound] for a set that is not published. nil: nothing.
	Suggestions func(ctx context.Context, query api.SuggestionQuery) (*api.Suggestions, error)
	// Differences says where the builds of an output differ; nil: pages do not.
	Differences func(ctx context.Context, output *api.Output) (*api.Differences, error)
	// LogKey is the ledger's verifier key, of which the IDs of feeds are made.
	LogKey string
	// Indexed says why the index answers nothing now; nil: it does.
	Indexed func() error
	// SQL answers a query for a page, with so many rows at most. nil: the page says that it
	// cannot be.
	SQL func(r *http.Request, sql string, rows int) (*api.SQLResult, *api.SQLAnswer, error)
	// SQLNext says what the next query is answered from, and SQLLimits what one may cost; nil
	// where no query is.
	SQLNext   func() (*api.SQLAnswer, error)
	SQLLimits func() string
	// Snapshots lists the snapshots, the newest first; nil: there are none.
	Snapshots func() ([]api.Snapshot, error)
	// Jobs reports on the periodic jobs for the page /status.
	Jobs func() []Job
	// Waiting counts the requests to be enrolled that wait for the operator, for the page
	// /status; nil: the page does not say.
	Waiting func(ctx context.Context) (int, error)
	// Subscriptions are those that can be confirmed or ended by a link in a mail; nil: there are none.
	Subscriptions Subscriptions
	// Problem says what its sender may know of an error: where it is nil, that of
	// an [api.Problem], and nothing of any other.
	Problem func(error) *api.Problem
	// Operations lists what the API answers to GET, for the page about it.
	Operations func() []Operation
	// Logger gets what goes wrong while answering; slog.Default where nil.
	Logger *slog.Logger
}

// An Operation of the API.
type Operation struct {
	Path, Summary string
	Parameters    []string // of the query
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
}

// New returns a dashboard over source.
func New(config Config, source Source) (*Dashboard, error) {
	if source == nil {
		return nil, errors.New("making dashboard: no source")
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Suggestions == nil {
		config.Suggestions = func(_ context.Context, query api.SuggestionQuery) (*api.Suggestions, error) {
			return &api.Suggestions{Set: query.Set}, nil
		}
	}
	if config.Jobs == nil {
		config.Jobs = func() []Job { return nil }
	}
	if config.Problem == nil {
		config.Problem = problem
	}
	if config.Operations == nil {
		config.Operations = func() []Operation { return nil }
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

func problem(err error) *api.Problem {
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p
	}
	return api.NewProblem(api.ProblemInternal, "This is a fault of the server, not yours. Its operator finds the reason in the log.")
}

// Overview shows how much is reproduced, of everything or of a package set.
func (d *Dashboard) Overview(c *gin.Context) { d.show(c, d.overview) }

// Divergences lists what diverges.
func (d *Dashboard) Divergences(c *gin.Context) { d.show(c, d.divergences) }

// Sets lists the package sets.
func (d *Dashboard) Sets(c *gin.Context) { d.show(c, d.sets) }

// Set shows the package set that "name" in the path names, and its revisions.
func (d *Dashboard) Set(c *gin.Context) { d.show(c, d.set) }

// SetRevision shows what "revision", the path's rest, of the set that "name" names changed.
func (d *Dashboard) SetRevision(c *gin.Context) {
	d.showNamed(c, "revision", setURL(c.Param("name"), ""), d.setRevision)
}

// Packages lists the packages.
func (d *Dashboard) Packages(c *gin.Context) { d.show(c, d.packages) }

// Package shows the package that the path's rest, "name", names.
func (d *Dashboard) Package(c *gin.Context) {
	d.showNamed(c, "name", PackagesPath, d.packaged)
}

// Maintainers lists those whom package sets name as maintainers.
func (d *Dashboard) Maintainers(c *gin.Context) { d.show(c, d.maintainers) }

// Maintainer shows what the maintainer that the path's rest, "name", names has to look after.
func (d *Dashboard) Maintainer(c *gin.Context) {
	d.showNamed(c, "name", MaintainersPath, d.maintainer)
}

// Build shows the build that the path's rest, "name", names.
func (d *Dashboard) Build(c *gin.Context) { d.show(c, d.build) }

// Builders lists those who attest.
func (d *Dashboard) Builders(c *gin.Context) { d.show(c, d.builders) }

// Builder shows the builder that "id" in the path names.
func (d *Dashboard) Builder(c *gin.Context) { d.show(c, d.builder) }

// Coverage shows how much of the package sets is built, and what is worth building next.
func (d *Dashboard) Coverage(c *gin.Context) { d.show(c, d.coverage) }

// Status shows how far the index is, and the periodic jobs.
func (d *Dashboard) Status(c *gin.Context) { d.show(c, d.status) }

// Search looks for packages, package sets, operators, maintainers, outputs and builds.
func (d *Dashboard) Search(c *gin.Context) { d.show(c, d.search) }

// Subscription asks whether to do what the link of a mail is for, which "id", "action" and the
// parameter "token" are. To look at it does nothing: programs that check mails follow links.
func (d *Dashboard) Subscription(c *gin.Context) { d.show(c, d.subscription) }

// DecideSubscription does it. A mail program may ask for it by itself (RFC 8058).
func (d *Dashboard) DecideSubscription(c *gin.Context) { d.show(c, d.decideSubscription) }

// Method explains what the words and numbers mean.
func (d *Dashboard) Method(c *gin.Context) { d.show(c, d.method) }

// Problems explains every kind of problem that the API answers with.
func (d *Dashboard) Problems(c *gin.Context) { d.show(c, d.problems) }

// APIGuide explains the API.
func (d *Dashboard) APIGuide(c *gin.Context) { d.show(c, d.apiGuide) }

// Asset answers with the static file that "file" in the path names.
func (d *Dashboard) Asset(c *gin.Context) { d.asset(c) }

// Icon leads browsers, which ask without having read a page, to the icon.
func (d *Dashboard) Icon(c *gin.Context) { c.Redirect(http.StatusMovedPermanently, d.assets.Icon) }
