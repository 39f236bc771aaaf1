package http

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"repronet.dev/aggregator/conns"
	"repronet.dev/aggregator/fair"
	"repronet.dev/aggregator/ingest"
	"repronet.dev/aggregator/joining"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/ledger"
)

// Config configures a [Server]. Its zero value is usable.
type Config struct {
	// Dashboard configures the pages. Its Entry, LogKey, Indexed, Problem and Operations
	// are the server's.
	Dashboard dashboard.Config
	// MaxInFlight bounds the bytes of all submissions, half of them of those that are
	// being read, half of those that are worked on, decompressed. A network that is told
	// apart has a quarter of each half; beyond it a request is turned away with 503.
	// Default 256 MiB.
	MaxInFlight int64
	// BodyGrace is how long the first bytes of a submission may take. 10 s if it is 0.
	BodyGrace time.Duration
	// MaxConnections is how many connections the listeners take, a quarter of which are
	// for those who submit, and for the ledger's files. Default
	// [conns.DefaultMax].
	MaxConnections int
	// Proxies are the addresses of the proxies that are believed when they say whom a
	// request is from, and under which prefix they are reached. Nobody else is.
	Proxies []netip.Prefix
	// Networks tells networks apart; nil: all addresses but those of loopback, of private
	// networks and of Proxies.
	Networks *fair.Networks
	// Logger gets an event for each request; slog.Default where nil.
	Logger *slog.Logger
	// Registry takes the metrics, and is what /metrics shows; a new one where nil.
	Registry *prometheus.Registry
	// TempDir is where exports wait for their clients; the system's where empty.
	TempDir string
}

// Parts are what the handlers call. A server of only some routes, as tests have, leaves
// the parts of the others out: those routes then answer with a problem.
type Parts struct {
	Source  dashboard.Source // pages, and what the API reads from the index
	Ingest  *ingest.Ingest   // submissions
	Joining *joining.Joining // requests to be enrolled
	Log     Log              // the ledger's files
	// Snapshots are the data as files; their Dir is empty where there are none.
	Snapshots Snapshots

	// Entry reads an entry of the ledger.
	Entry func(ctx context.Context, index uint64) (*ledger.Entry, error)
	// Roster makes the roster and the checkpoint of exactly the entries that it is
	// the fold of.
	Roster func(ctx context.Context) (*api.Roster, error)
	// Suggestions says what is worth building next. It returns [dashboard.ErrNotFound] if
	// there is no such set, or no such builder.
	Suggestions func(ctx context.Context, query api.SuggestionQuery) (*api.Suggestions, error)
	// Filter finds the filter of a package set's newest revision. It returns
	// [dashboard.ErrNotFound] if there is no such set.
	Filter func(ctx context.Context, set string) (*Filter, error)
	// MapProof proves by the newest map. It returns [fs.ErrNotExist] if the ledger
	// commits to none.
	MapProof func(ctx context.Context, id attestation.OutputID) (*api.MapProof, error)
	// MapIndex says which ledger entry commits to that map, without any work.
	MapIndex func() (uint64, error)
	// MapBucket proves all of a bucket likewise. The error wraps [outputmap.ErrBucket] if that
	// is too large.
	MapBucket func(ctx context.Context, prefix attestation.Prefix) (*api.MapBucket, error)
	// Exports begins to read the whole index.
	Exports Exporter
	// SQL answers questions over the last snapshot; nil: none.
	SQL SQL
	// Reports keeps what builders say of outputs that diverge. It is nil at a server whose
	// Writer has it.
	Reports Reports

	// Writer answers what only the server that writes the ledger can; nil: this one does.
	Writer *Writer

	// Started says whether the ledger is read, and Healthy why it takes no
	// submissions; nil: it does. Indexed says why the index answers nothing, while ledger
	// and submissions go on; nil: it does. Stopped says why nothing more is indexed, while
	// ledger, submissions and what was indexed go on; nil: it is.
	Started func() bool
	Healthy func() error
	Indexed func() error
	Stopped func() error
	// Lacking reports whether an error of the Source is one of the moment, such as that of
	// a database that is away: it takes note of it. nil: none is.
	Lacking func(ctx context.Context, err error) bool
}

// A Filter is that of a revision of a package set.
type Filter struct {
	Index uint64 // of the ledger entry that published the revision
	// Bytes makes the filter, or returns what was made before. Those who call it do
	// not change it.
	Bytes func(ctx context.Context) ([]byte, error)
}

// Snapshots are copies of all data as files.
type Snapshots struct {
	Dir string // with a directory for each, named by the ledger's size
	// List describes them, the newest first.
	List func() ([]api.Snapshot, error)
}

// Log is the ledger as files.
type Log struct {
	Dir    string // public directory
	Key    string // the log's verifier key
	Erased func(attachment attestation.Digest) bool
}

// An Exporter reads the index at one watermark.
type Exporter interface {
	// Export waits until the index is at rest. It returns [ErrOtherSize] if size is
	// not nil and the index covers another number of ledger entries.
	Export(ctx context.Context, size *uint64) (Export, error)
}

// ErrOtherSize is returned by an [Exporter].
var ErrOtherSize = errors.New("the index covers another number of entries")

// An Export is the index at one watermark. Close has to be called.
type Export interface {
	Size() uint64 // ledger entries
	Verdicts(ctx context.Context) iter.Seq2[api.ExportedVerdict, error]
	Changes(ctx context.Context) iter.Seq2[api.ExportedChange, error]
	Close()
}

// A Server answers requests.
type Server struct {
	config    Config
	parts     Parts
	pages     *dashboard.Dashboard
	engine    *gin.Engine
	api       huma.API
	root      *os.Root               // of the ledger's files; nil without
	snapshots *os.Root               // likewise
	writer    *httputil.ReverseProxy // nil: this server writes the ledger

	names    map[string]string     // of routes, by method and path as gin writes them, with the suffix
	suffixed map[string][]suffixed // by path as gin writes it
	indexed  map[string]bool       // names of the routes that only the index can answer
	first    map[string]bool       // and of those that are answered as long as anything is
	costly   map[string]bool       // and of those whose answers take a place of reads
	others   *semaphore.Weighted   // has a place for each answer of all routes that are not first
	reads    places
	unread   places // for large answers that are being read
	lookups  *fair.Rates
	memory   memory
	networks fair.Networks
	exports  exports
	// questions has places for those in SQL.
	questions places
	metrics   *metrics
	document  func() ([]byte, error) // OpenAPI
}

// New returns a server. It is ready at once; what its parts are not ready for, they
// refuse themselves.
func New(config Config, parts Parts) (*Server, error) {
	if config.MaxInFlight == 0 {
		config.MaxInFlight = 256 << 20
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Registry == nil {
		config.Registry = prometheus.NewRegistry()
	}
	config.BodyGrace = cmp.Or(config.BodyGrace, defaultBodyGrace)
	if config.MaxConnections == 0 {
		config.MaxConnections = conns.DefaultMax
	}
	networks := fair.Behind(config.Proxies)
	if config.Networks != nil {
		networks = *config.Networks
	}
	s := &Server{
		config: config, parts: parts, names: map[string]string{}, suffixed: map[string][]suffixed{}, indexed: map[string]bool{}, first: map[string]bool{}, costly: map[string]bool{},
		others:  semaphore.NewWeighted(int64(max(1, config.MaxConnections*(4-spared)/4))),
		reads:   newPlaces(readPlaces, readPlacesAddress, readWaiting, readWaitingAddress),
		unread:  newPlaces(unreadPlaces, unreadPlaces/2, 0, 0),
		lookups: fair.NewRates(lookupRate, nil),
		memory:  newMemory(config.MaxInFlight, runtime.GOMAXPROCS(0)), networks: networks,
		exports: newExports(config.TempDir), questions: newPlaces(sqlPlaces, sqlPlaces/2, sqlWaiting, sqlWaitingAddress), metrics: newMetrics(config.Registry),
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("making the router: %w", err)
	}
	return s, nil
}

func (s *Server) open() (err error) {
	if s.parts.Source != nil {
		pages := s.config.Dashboard
		pages.Entry, pages.Problem, pages.Operations, pages.Suggestions = s.parts.Entry, s.problem, s.operations, s.parts.Suggestions
		pages.LogKey, pages.Indexed = s.parts.Log.Key, s.parts.Indexed
		s.dataPages(&pages)
		if s.parts.Reports != nil {
			pages.Differences = s.parts.Reports.Of
		}
		if pages.Logger == nil {
			pages.Logger = s.config.Logger
		}
		if s.pages, err = dashboard.New(pages, s.parts.Source); err != nil {
			return err
		}
	}
	if s.parts.Log.Dir != "" {
		if s.root, err = os.OpenRoot(s.parts.Log.Dir); err != nil {
			return err
		}
	}
	if s.parts.Snapshots.Dir != "" {
		if s.snapshots, err = os.OpenRoot(s.parts.Snapshots.Dir); err != nil {
			return err
		}
	}
	if s.parts.Writer != nil {
		if s.writer, err = s.parts.Writer.open(); err != nil {
			return err
		}
	}
	gin.SetMode(gin.ReleaseMode)
	s.engine = gin.New()
	s.engine.HandleMethodNotAllowed = true
	s.engine.Use(s.observe, s.makeRoom, s.needIndex, s.takePlace)
	s.api = s.newAPI()
	missing := s.unrouted(func(c *gin.Context) error {
		if !forPrograms(c.Request.URL.Path) {
			return api.NewProblem(api.ProblemNotFound, "There is no such page.")
		}
		return api.NewProblem(api.ProblemNotFound, "There is nothing at this address; "+api.OpenAPIPath+" lists what there is.")
	})
	routes := s.routes()
	s.shareSuffixed(routes)
	for _, r := range routes {
		s.register(r)
	}
	s.registerSuffixed(missing)
	s.engine.NoRoute(missing)
	s.engine.NoMethod(s.unrouted(func(c *gin.Context) error {
		return api.NewProblem(api.ProblemMethodNotAllowed, "This address does not take "+c.Request.Method+" requests.")
	}))
	s.document = s.describe()
	return nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.engine.ServeHTTP(w, proxies(s.config.Proxies).request(r))
}

// Close lets go of the ledger's directory.
func (s *Server) Close() error {
	var all error
	for _, root := range []*os.Root{s.root, s.snapshots} {
		if root != nil {
			all = errors.Join(all, root.Close())
		}
	}
	return all
}

// forPrograms tells addresses that programs ask, whose errors are problem documents,
// from those of pages.
func forPrograms(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, api.LogPath+"/") || strings.HasPrefix(path, api.SnapshotFilesPath+"/") || strings.HasPrefix(path, "/healthz") || path == "/metrics" ||
		beside(path)
}

// unrouted answers what no route does.
func (s *Server) unrouted(problem func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if s.pages == nil || forPrograms(c.Request.URL.Path) {
			programHeaders(c)
		} else {
			dashboard.SecurityHeaders(c)
		}
		s.fail(c, problem(c))
	}
}

// A Route says what the server answers: one method of one path, as OpenAPI writes it,
// and what it is called.
type Route struct{ Method, Path, Name string }

// Routes lists what the router has, for tests of what is said of it elsewhere.
func (s *Server) Routes() []Route {
	var list []Route
	for _, r := range s.engine.Routes() {
		segments := strings.Split(r.Path, "/")
		for i, segment := range segments {
			if name := strings.TrimLeft(segment, ":*"); name != segment {
				segments[i] = "{" + name + "}"
			}
		}
		path := strings.Join(segments, "/")
		if name, plain := s.names[r.Method+" "+r.Path]; plain {
			list = append(list, Route{r.Method, path, name})
		}
		list = append(list, s.listSuffixed(r.Method, r.Path, path)...)
	}
	return list
}
