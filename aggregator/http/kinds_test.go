package http_test

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// A kind says how a client that has a route's answer already is told so.
type kind string

const (
	// byWatermark: nothing but the watermark is read for it.
	byWatermark kind = "watermark"
	// byVersion: likewise, by the entry of the ledger that the answer follows from.
	byVersion kind = "version"
	// byContent: the answer is made, and not sent.
	byContent kind = "content"
	byDate    kind = "date"  // a file's
	never     kind = "never" // why not, the table says
)

// kindsOfRoutes has each route of the server but the ways in: an address to ask it by, and
// what its answers have beside their bodies. A route that is not in it fails the test.
var kindsOfRoutes = map[string]struct {
	path  string
	kind  kind
	place bool // it takes a place, and says how many there are
}{
	"get-summary":        {api.SummaryPath, byWatermark, true},
	"get-history":        {api.HistoryPath, byWatermark, true},
	"list-sets":          {api.SetsPath, byWatermark, true},
	"list-set-revisions": {api.SetRevisionsPath("nixos-minimal"), byWatermark, true},
	"get-set-difference": {api.SetDifferencePath("nixos-minimal"), byWatermark, true},
	"list-packages":      {api.PackagesPath, byWatermark, true},
	"get-package":        {api.PackagePath("openssl"), byWatermark, true},
	"list-maintainers":   {api.MaintainersPath, byWatermark, true},
	"get-maintainer":     {api.MaintainerPath("ada"), byWatermark, true},
	"get-build":          {api.BuildsPath + "?name=" + url.QueryEscape(dashboardtest.DRV("openssl-3.5.4")), byWatermark, true},
	"get-outputs":        {api.OutputsPath + "?name=" + url.QueryEscape(dashboardtest.Out("openssl-3.5.4", "")), byWatermark, true},
	"get-excuses":        {api.ExcusesPath + "?from=nixos-minimal@26.05.1820&to=nixos-minimal@", byWatermark, true},
	"list-snapshots":     {api.SnapshotsPath, byContent, false},
	"get-snapshot-file":  {api.SnapshotFilesPath + "/3/SHA256SUMS", byDate, false},
	"list-divergences":   {api.DivergencesPath, byWatermark, true},
	"list-suggestions":   {api.SuggestionsPath + "?set=nixos-minimal", byWatermark, true},
	"get-differences":    {api.ManifestsPath + "?output=" + url.QueryEscape(dashboardtest.Out("openssl-3.5.4", "")), byContent, true},
	"get-manifest": {api.ManifestPath + "?output=" + url.QueryEscape(dashboardtest.Out("openssl-3.5.4", "")) +
		"&digest=" + strings.Repeat("ab", 32) + "&builder=" + string(dashboardtest.ID("alder")), byContent, true},
	"list-wanted-manifests": {api.WantedManifestsPath + "?builder=" + string(dashboardtest.ID("alder")), byContent, true},
	"submit-manifest":       {"", never, false}, // POST
	"list-changes":          {api.ChangesPath, byWatermark, true},
	"list-builders":         {api.BuildersPath, byWatermark, true},
	"get-builder":           {api.BuilderPath(string(dashboardtest.ID("alder"))), byWatermark, true},
	"list-agreement":        {api.AgreementPath, byWatermark, true},
	"divergences-feed":      {"/divergences.atom", byWatermark, true},
	"divergences-json":      {"/divergences.json", byWatermark, true},
	"divergences-csv":       {"/divergences.csv", byWatermark, true},
	"set-feed":              {"/sets/nixos-minimal.atom", byWatermark, true},
	"package-feed":          {"/packages/openssl.atom", byWatermark, true},
	"package-json":          {"/packages/openssl.json", byWatermark, true},
	"package-csv":           {"/packages/openssl.csv", byWatermark, true},
	"maintainer-feed":       {"/maintainers/ada.atom", byWatermark, true},
	"maintainer-json":       {"/maintainers/ada.json", byWatermark, true},
	"maintainer-csv":        {"/maintainers/ada.csv", byWatermark, true},
	"export-verdicts":       {api.ExportVerdictsPath, byWatermark, false}, // exports have places of their own
	"export-changes":        {api.ExportChangesPath, byWatermark, false},
	"get-entry":             {api.EntriesPath + "/20", byVersion, true},
	"get-map-proof":         {api.MapProofPath + "?ecosystem=nix&name=" + url.QueryEscape(dashboardtest.Out("openssl-3.5.4", "")), byVersion, true},
	"get-set-filter":        {api.FilterPath("nixos-minimal"), byVersion, false},
	"get-roster":            {api.RosterPath, byContent, true},
	"get-openapi":           {api.OpenAPIPath, byContent, false},
	"get-log-key":           {api.LogKeyPath, byContent, false},
	"set-badge":             {"/badges/sets/nixos-minimal.svg", byContent, true},
	"set-badge-json":        {"/badges/sets/nixos-minimal.json", byContent, true},
	"package-badge":         {"/badges/packages/openssl.svg", byContent, true},
	"package-badge-json":    {"/badges/packages/openssl.json", byContent, true},
	"get-checkpoint":        {api.LogPath + "/checkpoint", byDate, false},
	"get-tile":              {api.LogPath + "/tile/0/000", byDate, false},
	"get-attachment":        {api.LogPath + "/attachments/sha256/" + strings.Repeat("a", 64), byDate, false},
	"get-map-bucket":        {api.MapBucketsPath + "/00000", never, true}, // an ETag that comes back tells who asked before
	"get-output-bucket":     {api.LookupPath + "/00000", never, true},
	"get-enrolment":         {"", never, false}, // changes at any time, for one reader
	"startup":               {"", never, false}, // what follows is of the moment
	"live":                  {"", never, false},
	"ready":                 {"", never, false},
	"metrics":               {"", never, false},
	"overview":              {"/", never, true}, // pages say how long ago something was
	"divergences":           {"/divergences", never, true},
	"sets":                  {"/sets", never, true},
	"set":                   {"/sets/nixos-minimal", never, true},
	"set-revision":          {"/sets/nixos-minimal/26.05.1820", never, true},
	"packages":              {"/packages", never, true},
	"package":               {"/packages/openssl", never, true},
	"maintainers":           {"/maintainers", never, true},
	"maintainer":            {"/maintainers/ada", never, true},
	"build":                 {"/builds" + dashboardtest.DRV("openssl-3.5.4"), never, true},
	"builders":              {"/builders", never, true},
	"builder":               {"/builders/" + string(dashboardtest.ID("alder")), never, true},
	"coverage":              {"/coverage", never, true},
	"status":                {"/status", never, true},
	"search":                {"/search", never, true},
	"method":                {"/method", never, false},
	"problems":              {api.ProblemsPath, never, false},
	"api-guide":             {"/docs/api", never, false},
	"asset":                 {"", never, false},                              // its name is its hash
	"icon":                  {"", never, false},                              // moved
	"query-sql":             {api.SQLPath + "?q=SELECT+1", byVersion, false}, // questions have places of their own
	"data":                  {"/data", never, false},
	"questions":             {"/data/questions", never, false},
	"question":              {"/data/questions/half-life", never, false},
	"subscription":          {"", never, false}, // a link in a mail
	"subscription-decided":  {"", never, false}, // likewise
	"post-sql":              {"", never, false}, // POST
	"look-up-keys":          {"", never, true},  // POST
	"submit-attestations":   {"", never, false},
	"submit-evidence":       {"", never, false},
	"ask-enrolment":         {"", never, false},
}

// reports has a manifest of whatever is asked for.
type reports struct{}

func (reports) Take(context.Context, []byte) (*api.ManifestKept, error) {
	return &api.ManifestKept{}, nil
}

func (reports) Wanted(context.Context, signing.BuilderID, string) (*api.WantedManifests, error) {
	return &api.WantedManifests{}, nil
}

func (reports) Of(context.Context, *api.Output) (*api.Differences, error) {
	return &api.Differences{}, nil
}

func (reports) Document(string, string, attestation.Digest, signing.BuilderID) ([]byte, error) {
	return []byte("{}\n"), nil
}

// whole is a router with all parts that answer GET.
func whole(t *testing.T, source dashboard.Source) *web.Server {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"checkpoint", "3/SHA256SUMS", "tile/0/000", "attachments/sha256/" + strings.Repeat("a", 64)} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serveParts(t, slog.New(slog.DiscardHandler), web.Parts{
		Source: source, Log: web.Log{Dir: dir, Key: "example.org+1+AA"}, Snapshots: web.Snapshots{Dir: dir},
		Roster: func(context.Context) (*api.Roster, error) { return &api.Roster{}, nil },
		Suggestions: func(_ context.Context, q api.SuggestionQuery) (*api.Suggestions, error) {
			return &api.Suggestions{Set: q.Set}, nil
		},
		Filter: func(context.Context, string) (*web.Filter, error) {
			return &web.Filter{Index: 7, Bytes: func(context.Context) ([]byte, error) { return make([]byte, 12), nil }}, nil
		},
		Reports:  reports{},
		MapIndex: func() (uint64, error) { return 9, nil },
		MapProof: func(context.Context, attestation.OutputID) (*api.MapProof, error) {
			return &api.MapProof{Receipt: &ledger.Receipt{}}, nil
		},
		MapBucket: func(context.Context, attestation.Prefix) (*api.MapBucket, error) {
			return &api.MapBucket{Receipt: &ledger.Receipt{}}, nil
		},
		Exports: nothing{}, SQL: &console{},
	})
}

// nothing is an index without outputs.
type nothing struct{}

func (nothing) Export(context.Context, *uint64) (web.Export, error) { return noRows{}, nil }

type noRows struct{}

func (noRows) Size() uint64 { return 0 }
func (noRows) Close()       {}
func (noRows) Verdicts(context.Context) iter.Seq2[api.ExportedVerdict, error] {
	return func(func(api.ExportedVerdict, error) bool) {}
}

func (noRows) Changes(context.Context) iter.Seq2[api.ExportedChange, error] {
	return func(func(api.ExportedChange, error) bool) {}
}

// onlyWatermark is a source of which nothing else may be asked.
type onlyWatermark struct {
	dashboard.Source
	of dashboard.Source
}

func (s onlyWatermark) Watermark(ctx context.Context) (dashboard.Watermark, error) {
	return s.of.Watermark(ctx)
}

var limitPolicy = regexp.MustCompile(`^"[a-z]+";q=[1-9][0-9]*(;w=[1-9][0-9]*|;qu="concurrent-requests")$`)

// TestKindsOfRoutes: each route says how its answer is asked for again, and what an address
// may ask for. What follows from the index is answered with 304 from the watermark alone.
func TestKindsOfRoutes(t *testing.T) {
	source := sample()
	server, frozen := whole(t, source), whole(t, onlyWatermark{of: source})
	seen := map[string]bool{}
	for _, route := range server.Routes() {
		if seen[route.Name] {
			continue // HEAD
		}
		seen[route.Name] = true
		row, ok := kindsOfRoutes[route.Name]
		if !ok {
			t.Errorf("%s %s (%s) is not in the table", route.Method, route.Path, route.Name)
			continue
		}
		if row.path == "" {
			continue
		}
		t.Run(route.Name, func(t *testing.T) {
			response := get(t, server, row.path)
			if body := text(t, response); response.StatusCode != http.StatusOK || body == "" && !strings.HasPrefix(row.path, "/api/v1/export/") {
				t.Fatalf("status %d: %.200s", response.StatusCode, body)
			}
			policies := response.Header.Values("RateLimit-Policy")
			if slices.ContainsFunc(policies, func(p string) bool { return strings.HasPrefix(p, `"places"`) }) != row.place {
				t.Errorf("RateLimit-Policy: %q", policies)
			}
			for _, p := range policies {
				if !limitPolicy.MatchString(p) {
					t.Errorf("RateLimit-Policy: %s", p)
				}
			}
			etag, modified := response.Header.Get("ETag"), response.Header.Get("Last-Modified")
			var again *http.Response
			switch row.kind {
			case never:
				if etag != "" || modified != "" {
					t.Errorf("ETag %s, Last-Modified %s", etag, modified)
				}
				return
			case byDate:
				again = get(t, server, row.path, "If-Modified-Since", modified)
			case byWatermark:
				again = get(t, frozen, row.path, "If-None-Match", `W/"other", `+etag)
			default:
				again = get(t, server, row.path, "If-None-Match", etag)
			}
			if body := text(t, again); again.StatusCode != http.StatusNotModified || body != "" || again.Header.Get("ETag") != etag {
				t.Errorf("asked again: status %d, ETag %s, was %s: %.200s", again.StatusCode, again.Header.Get("ETag"), etag, body)
			}
			if row.kind == byDate {
				return
			}
			if other := get(t, server, row.path, "If-None-Match", `"other"`); other.StatusCode != http.StatusOK {
				t.Errorf("with another ETag: status %d", other.StatusCode)
			}
		})
	}
	for name := range kindsOfRoutes {
		if !seen[name] {
			t.Errorf("there is no route %s", name)
		}
	}
	at := time.Now()
	source.Append(dashboardtest.Entry{At: at, Set: &dashboardtest.Set{Name: "new", Revision: "1", Ecosystem: "nix"}})
	before := get(t, frozen, api.SetsPath).Header.Get("ETag")
	if response := get(t, server, api.SetsPath, "If-None-Match", before+"x"); response.StatusCode != http.StatusOK {
		t.Errorf("after another entry: status %d", response.StatusCode)
	}
}

// TestPagedLists: what may be long has a next page, and the pages have all of it, once.
func TestPagedLists(t *testing.T) {
	server := serve(t, sample())
	for path, rows := range map[string]func(*testing.T, *http.Response) []string{
		api.ChangesPath: func(t *testing.T, r *http.Response) (keys []string) {
			var page []api.VerdictChange
			decode(t, r, &page)
			for _, c := range page {
				keys = append(keys, c.Key+" "+c.ReceivedAt.String())
			}
			return keys
		},
		api.DivergencesPath: func(t *testing.T, r *http.Response) (keys []string) {
			var page api.DivergencePage
			decode(t, r, &page)
			for _, d := range page.Divergences {
				keys = append(keys, d.Key)
			}
			return keys
		},
	} {
		all := rows(t, get(t, server, path+"?limit=1000"))
		var paged []string
		for next := path + "?limit=1"; next != ""; {
			response := get(t, server, next)
			paged = append(paged, rows(t, response)...)
			link, _ := strings.CutSuffix(response.Header.Get("Link"), `>; rel="next"`)
			next = strings.TrimPrefix(link, "<")
		}
		if len(all) < 2 || !slices.Equal(all, paged) {
			t.Errorf("%s: %d rows by pages, %d at once", path, len(paged), len(all))
		}
		if response := get(t, server, path+"?cursor=nonsense"); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s with a cursor of nothing: status %d", path, response.StatusCode)
		}
	}
}
