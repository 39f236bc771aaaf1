package http

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// A route is an address that the server answers, and its name.
type route struct {
	name   string
	method string // GET stands for HEAD too
	path   string // {x} is one segment, {x...} the rest; {x}.suffix is last, see suffixes.go
	chain  []gin.HandlerFunc
	// about describes an operation of the API that is not one of huma's; those are
	// made by install, from the types of their function.
	about   *description
	install func(s *Server, r route)
	// indexed is of a route that only the index can answer.
	indexed bool
	// first is of a route that is answered as long as anything is, see keepsRoom.
	first bool
	// costly is of a route whose answers take a place, see places.
	costly bool
	// written is of a route that only the server that writes the ledger can answer.
	written bool
}

// fromIndex marks a route that only the index can answer.
func (r route) fromIndex() route {
	r.indexed = true
	return r
}

// ofWriter marks a route that a server which follows another passes on to it.
func (r route) ofWriter() route {
	r.written = true
	return r
}

// takesPlace marks a route whose answers cost much.
func (r route) takesPlace() route {
	r.costly = true
	return r
}

// described makes a route an operation of the API.
func (r route) described(about description) route {
	r.about = &about
	return r
}

// routes lists every route of the server.
func (s *Server) routes() []route {
	d := s.pages
	return []route{
		// Pages.
		page("overview", "/", d.Overview).fromIndex().takesPlace(),
		page("divergences", dashboard.DivergencesPath, d.Divergences).fromIndex().takesPlace(),
		page("sets", dashboard.SetsPath, d.Sets).fromIndex().takesPlace(),
		page("set", dashboard.SetsPath+"/{name}", d.Set).fromIndex().takesPlace(),
		page("set-revision", dashboard.SetsPath+"/{name}/{revision...}", d.SetRevision).fromIndex().takesPlace(),
		page("packages", dashboard.PackagesPath, d.Packages).fromIndex().takesPlace(),
		page("package", dashboard.PackagesPath+"/{name...}", d.Package).fromIndex().takesPlace(),
		page("maintainers", dashboard.MaintainersPath, d.Maintainers).fromIndex().takesPlace(),
		page("maintainer", dashboard.MaintainersPath+"/{name...}", d.Maintainer).fromIndex().takesPlace(),
		page("build", "/builds/{name...}", d.Build).fromIndex().takesPlace(),
		page("builders", "/builders", d.Builders).fromIndex().takesPlace(),
		page("builder", "/builders/{id}", d.Builder).fromIndex().takesPlace(),
		page("coverage", "/coverage", d.Coverage).fromIndex().takesPlace(),
		page("status", "/status", d.Status).fromIndex().takesPlace(),
		page("search", "/search", d.Search).fromIndex().takesPlace(),
		page("subscription", dashboard.SubscriptionsPath+"/{id}/{action}", d.Subscription).ofWriter(),
		post("subscription-decided", dashboard.SubscriptionsPath+"/{id}/{action}", d.DecideSubscription).ofWriter(),
		page("data", dashboard.DataPath, d.Data).ofWriter(),
		page("questions", dashboard.QuestionsPath, d.Questions),
		page("question", dashboard.QuestionsPath+"/{name}", d.Question).ofWriter(),
		page("method", "/method", d.Method),
		page("problems", api.ProblemsPath, d.Problems),
		page("api-guide", "/docs/api", d.APIGuide),
		page("asset", "/static/{file}", d.Asset),
		page("icon", "/favicon.ico", d.Icon),

		// What stands beside pages, for programs: feeds, lists and badges.
		s.feed("divergences-feed", dashboard.DivergencesPath+dashboard.FeedSuffix, d.DivergencesFeed).fromIndex().takesPlace(),
		s.feed("divergences-json", dashboard.DivergencesPath+".json", d.DivergencesJSON).fromIndex().takesPlace(),
		s.feed("divergences-csv", dashboard.DivergencesPath+".csv", d.DivergencesCSV).fromIndex().takesPlace(),
		s.feed("set-feed", dashboard.SetsPath+"/{name}"+dashboard.FeedSuffix, d.SetFeed).fromIndex().takesPlace(),
		s.feed("package-feed", dashboard.PackagesPath+"/{name...}"+dashboard.FeedSuffix, d.PackageFeed).fromIndex().takesPlace(),
		s.feed("package-json", dashboard.PackagesPath+"/{name...}.json", d.PackageJSON).fromIndex().takesPlace(),
		s.feed("package-csv", dashboard.PackagesPath+"/{name...}.csv", d.PackageCSV).fromIndex().takesPlace(),
		s.feed("maintainer-feed", dashboard.MaintainersPath+"/{name...}"+dashboard.FeedSuffix, d.MaintainerFeed).fromIndex().takesPlace(),
		s.feed("maintainer-json", dashboard.MaintainersPath+"/{name...}.json", d.MaintainerJSON).fromIndex().takesPlace(),
		s.feed("maintainer-csv", dashboard.MaintainersPath+"/{name...}.csv", d.MaintainerCSV).fromIndex().takesPlace(),
		s.badge("set-badge", dashboard.BadgesPath+"sets/{name}.svg", d.SetBadge).takesPlace(),
		s.badge("set-badge-json", dashboard.BadgesPath+"sets/{name}.json", d.SetBadgeJSON).takesPlace(),
		s.badge("package-badge", dashboard.BadgesPath+"packages/{name...}.svg", d.PackageBadge).takesPlace(),
		s.badge("package-badge-json", dashboard.BadgesPath+"packages/{name...}.json", d.PackageBadgeJSON).takesPlace(),

		// What the index says: functions of its watermark and the query.
		read("get-summary", api.SummaryPath, s.summary, "Counts of all outputs, or of a package set"),
		read("get-history", api.HistoryPath, s.history, "Counts at the end of each day on which one changed"),
		read("list-sets", api.SetsPath, s.sets, "Package sets at their newest revisions"),
		read("list-set-revisions", api.SetsPath+"/{name}/revisions", s.setRevisions, "The revisions of a package set, newest first, and how each differs from the one before"),
		read("get-set-difference", api.SetsPath+"/{name}/difference", s.setDifference, "A revision of a package set beside the one before: what regressed, was fixed, diverges, was added and removed"),
		read("get-excuses", api.ExcusesPath, s.excuses, "What keeps a revision of a package set from taking the place of another"),
		read("list-packages", api.PackagesPath, s.packages, "Packages, by name"),
		s.feed("get-package", api.PackagesPath+"/{name...}", d.PackageJSON).described(aboutPackage).fromIndex().takesPlace(),
		read("list-maintainers", api.MaintainersPath, s.maintainers, "Those whom the newest revisions of package sets name as maintainers, by name"),
		s.feed("get-maintainer", api.MaintainersPath+"/{name...}", d.MaintainerJSON).described(aboutMaintainer).fromIndex().takesPlace(),
		read("get-build", api.BuildsPath, s.build, "A build with its outputs and all claims on them"),
		read("get-outputs", api.OutputsPath, s.outputs, "An output by its name, or the outputs for which a digest was ever claimed, or that a package URL names", outputsAnswers),
		call("look-up-keys", http.MethodPost, api.LookupPath, s.lookUp, aboutLookup).fromIndex(),
		call("get-output-bucket", http.MethodGet, api.LookupPath+"/{prefix}", s.outputBucket, aboutOutputBucket).fromIndex().takesPlace(),
		read("list-divergences", api.DivergencesPath, s.divergences, "Diverged outputs, newest first"),
		read("list-suggestions", api.SuggestionsPath, s.suggestions, "What is worth building next of a package set, and what for"),
		read("list-changes", api.ChangesPath, s.changes, "The newest changes of verdicts to diverged and back, newest first"),
		read("list-builders", api.BuildersPath, s.builders, "Builders, by operator"),
		read("get-builder", api.BuildersPath+"/{id}", s.builder, "A builder, its key and its streams"),
		read("list-agreement", api.AgreementPath, s.agreement, "Operators compared pairwise on the outputs that both claim"),

		// Evidence, and what follows from it.
		call("get-entry", http.MethodGet, api.EntriesPath+"/{index}", s.entry, aboutEntry).takesPlace(),
		call("get-roster", http.MethodGet, api.RosterPath, s.roster, aboutRoster).takesPlace().ofWriter(),
		call("get-set-filter", http.MethodGet, api.SetsPath+"/{name}/filter", s.filter, aboutFilter).fromIndex(),
		call("get-map-proof", http.MethodGet, api.MapProofPath, s.mapProof, aboutMapProof).takesPlace().ofWriter(),
		call("get-map-bucket", http.MethodGet, api.MapBucketsPath+"/{prefix}", s.mapBucket, aboutMapBucket).takesPlace().ofWriter(),
		call("export-verdicts", http.MethodGet, api.ExportVerdictsPath, s.exportVerdicts, aboutExport[api.ExportedVerdict]("The verdict on every output")).fromIndex(),
		call("export-changes", http.MethodGet, api.ExportChangesPath, s.exportChanges, aboutExport[api.ExportedChange]("Every change of a verdict")).fromIndex(),

		// All data, to take home.
		call("list-snapshots", http.MethodGet, api.SnapshotsPath, s.listSnapshots, aboutSnapshots).ofWriter(),
		call("get-snapshot-file", http.MethodGet, api.SnapshotFilesPath+"/{size}/{path...}", s.snapshotFile, aboutSnapshotFile).ofWriter(),

		// Questions in SQL, over the last snapshot.
		call("query-sql", http.MethodGet, api.SQLPath, s.sql, aboutSQL(aboutQuery)).ofWriter(),
		call("post-sql", http.MethodPost, api.SQLPath, s.sql, aboutPostedSQL()).ofWriter(),

		// Where the builds of an output differ, by those who made them.
		call("get-differences", http.MethodGet, api.ManifestsPath, s.differences, aboutDifferences).fromIndex().takesPlace().ofWriter(),
		call("get-manifest", http.MethodGet, api.ManifestPath, s.manifest, aboutManifest).fromIndex().takesPlace().ofWriter(),
		call("list-wanted-manifests", http.MethodGet, api.WantedManifestsPath, s.wantedManifests, aboutWantedManifests).fromIndex().takesPlace().ofWriter(),
		call("submit-manifest", http.MethodPost, api.ManifestsPath, s.submitManifest, aboutSubmittedManifest).fromIndex().ofWriter(),

		// The ways in.
		call("submit-attestations", http.MethodPost, api.SubmitPath, s.submitAttestations, aboutAttestations).keepsRoom().ofWriter(),
		call("submit-evidence", http.MethodPost, api.EvidencePath, s.submitEvidence, aboutEvidence).keepsRoom().ofWriter(),
		call("ask-enrolment", http.MethodPost, api.EnrolmentsPath, s.askEnrolment, aboutAsking).keepsRoom().ofWriter(),
		call("get-enrolment", http.MethodGet, api.EnrolmentsPath+"/{builder}", s.enrolment, aboutEnrolment).keepsRoom().ofWriter(),

		// The ledger's files.
		call("get-checkpoint", http.MethodGet, api.LogPath+"/checkpoint", s.checkpoint, aboutCheckpoint).keepsRoom(),
		call("get-log-key", http.MethodGet, api.LogKeyPath, s.logKey, aboutLogKey).keepsRoom(),
		call("get-tile", http.MethodGet, api.LogPath+"/tile/{path...}", s.tile, aboutTile).keepsRoom(),
		call("get-attachment", http.MethodGet, api.LogPath+"/attachments/{path...}", s.attachment, aboutAttachment).keepsRoom(),

		// What the API says of itself.
		call("get-openapi", http.MethodGet, api.OpenAPIPath, s.openAPI, aboutOpenAPI),

		// For the operator of the server.
		probe("startup", "/healthz/startup", s.startup).keepsRoom(),
		probe("live", "/healthz/live", s.live).keepsRoom(),
		probe("ready", "/healthz/ready", s.ready).keepsRoom(),
		probe("metrics", "/metrics", gin.WrapH(promhttp.HandlerFor(s.config.Registry, promhttp.HandlerOpts{}))).keepsRoom(),
	}
}

func page(name, path string, handle gin.HandlerFunc) route {
	return route{name: name, method: http.MethodGet, path: path, chain: []gin.HandlerFunc{dashboard.SecurityHeaders, handle}}
}

// post is what a form of a page asks for.
func post(name, path string, handle gin.HandlerFunc) route {
	r := page(name, path, handle)
	r.method = http.MethodPost
	return r
}

func call(name, method, path string, handle gin.HandlerFunc, about description) route {
	return route{name: name, method: method, path: path, chain: []gin.HandlerFunc{programHeaders, handle}, about: &about}
}

func probe(name, path string, handle gin.HandlerFunc) route {
	return route{name: name, method: http.MethodGet, path: path, chain: []gin.HandlerFunc{programHeaders, handle}}
}

// register adds a route to the router, and to the description of the API.
func (s *Server) register(r route) {
	path, suffix := cutSuffix(r.path)
	pattern := ginPath(path)
	for _, method := range methods(r.method) {
		s.names[method+" "+pattern+suffix] = r.name
		s.indexed[r.name], s.first[r.name], s.costly[r.name] = r.indexed, r.first, r.costly
		if r.written && s.writer != nil {
			r.chain = []gin.HandlerFunc{s.passOn}
		}
		if r.install == nil && suffix == "" {
			chain := r.chain
			if _, shared := s.suffixed[pattern]; shared {
				chain = append([]gin.HandlerFunc{s.bySuffix}, chain...)
			}
			s.engine.Handle(method, pattern, chain...)
		}
	}
	if r.install != nil {
		r.install(s, r)
	}
	if r.about != nil {
		s.api.OpenAPI().AddOperation(r.about.operation(r, s.api.OpenAPI().Components.Schemas))
	}
}

func methods(method string) []string {
	if method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{method}
}

// ginPath writes a path as gin's router does.
func ginPath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		name, ok := strings.CutSuffix(segment, "}")
		if !ok {
			continue
		}
		name = strings.TrimPrefix(name, "{")
		if rest, ok := strings.CutSuffix(name, "..."); ok {
			segments[i] = "*" + rest
		} else {
			segments[i] = ":" + name
		}
	}
	return strings.Join(segments, "/")
}

// openAPIPath writes a path as OpenAPI does, which has no way to say that the rest
// is meant.
func openAPIPath(path string) string { return strings.ReplaceAll(path, "...}", "}") }

// headToo registers each of huma's operations for HEAD as well.
type headToo struct{ huma.Adapter }

func (a headToo) Handle(op *huma.Operation, handler func(huma.Context)) {
	for _, method := range methods(op.Method) {
		too := *op
		too.Method = method
		a.Adapter.Handle(&too, handler)
	}
}
