package http

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/signing"
)

// read is a GET whose answer is a function of the watermark and the query.
func read[I, O any](name, path string, answer func(context.Context, *I) (*O, error), summary string, options ...func(huma.Registry, *huma.Operation)) route {
	install := func(s *Server, r route) {
		op := huma.Operation{
			OperationID: r.name, Method: r.method, Path: r.path, Summary: summary,
			Responses:   problemAnswers(s.api.OpenAPI().Components.Schemas, api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemInternal, api.ProblemSlowDown, api.ProblemTryLater),
			Middlewares: huma.Middlewares{s.conditional},
		}
		for _, option := range options {
			option(s.api.OpenAPI().Components.Schemas, &op)
		}
		huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := answer(ctx, in)
			if err != nil {
				return nil, s.failure(ctx, r.name, err)
			}
			return out, nil
		})
	}
	return route{name: name, method: http.MethodGet, path: path, install: install, indexed: true, costly: true}
}

// failure logs a fault of the server and hides it behind a problem document.
func (s *Server) failure(ctx context.Context, route string, err error) *failure {
	err = s.momentary(ctx, err)
	p := ProblemOf(err)
	if p.Status == http.StatusInternalServerError {
		s.config.Logger.ErrorContext(ctx, "answering request", "route", route, "error", err)
	}
	return &failure{*p}
}

// body is an answer that is nothing but a JSON document.
type body[T any] struct{ Body T }

type (
	noInput  struct{}
	setInput struct {
		Set string `query:"set" maxLength:"200" doc:"A package set; without it, all outputs with a position."`
	}
	buildInput struct {
		Name string `query:"name" required:"true" maxLength:"1024" doc:"The build: a derivation's store path, a recipe pinned by hash or exact version." example:"/nix/store/2c6b…-hello-2.12.1.drv"`
	}
	divergencesInput struct {
		Set        string `query:"set" maxLength:"200" doc:"Only outputs of this package set."`
		Shape      string `query:"shape" doc:"Only this shape." enum:"self,scatter,outlier,split"`
		Cause      string `query:"cause" doc:"Only this side of the cause." enum:"own,inherited,unknown"`
		Builder    string `query:"builder" doc:"Only where this builder holds a digest among the factions." maxLength:"100"`
		Maintainer string `query:"maintainer" maxLength:"200" doc:"Only outputs that a package set says this person maintains."`
		Ecosystem  string `query:"ecosystem" maxLength:"40" doc:"Only outputs of this ecosystem."`
		Project    string `query:"project" maxLength:"200" doc:"Only files of this project: those whose keys begin with it and a slash."`
		Package    string `query:"package" maxLength:"1024" doc:"Only outputs of the package of this name, which is written without a version."`
		Limit      int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many on a page."`
		Cursor     string `query:"cursor" maxLength:"1000" doc:"From the page before: follow its Link header with rel=next."`
	}
	changesInput struct {
		Set        string `query:"set" maxLength:"200" doc:"Only outputs of this package set."`
		Maintainer string `query:"maintainer" maxLength:"200" doc:"Only outputs that a package set says this person maintains."`
		Ecosystem  string `query:"ecosystem" maxLength:"40" doc:"Only outputs of this ecosystem."`
		Project    string `query:"project" maxLength:"200" doc:"Only files of this project: those whose keys begin with it and a slash."`
		Package    string `query:"package" maxLength:"1024" doc:"Only outputs of the package of this name, which is written without a version."`
		Limit      int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many on a page."`
		Cursor     string `query:"cursor" maxLength:"1000" doc:"From the page before: follow its Link header with rel=next."`
	}
	revisionsInput struct {
		Name  string `path:"name" maxLength:"200" doc:"The package set."`
		Limit int    `query:"limit" minimum:"1" maximum:"20" default:"8" doc:"At most so many."`
	}
	differenceInput struct {
		Name     string `path:"name" maxLength:"200" doc:"The package set."`
		Revision string `query:"revision" maxLength:"200" doc:"The revision; without it, the newest."`
		Limit    int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many rows of each list."`
	}
	excusesInput struct {
		From  string `query:"from" required:"true" maxLength:"401" doc:"What is released, as SET@REVISION, or SET@ for the newest."`
		To    string `query:"to" required:"true" maxLength:"401" doc:"What is to be, written likewise."`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many outputs."`
	}
	namesInput struct {
		Text   string `query:"q" maxLength:"600" doc:"Only names that contain this, without regard to the case of ASCII letters."`
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many on a page."`
		Cursor string `query:"cursor" maxLength:"2000" doc:"From the page before: follow its Link header with rel=next."`
	}
	builderInput struct {
		ID string `path:"id" doc:"The builder: 32 characters of a-z and 2-7."`
	}
)

const noSet = "No package set named %q is published; " + api.SetsPath + " lists them."

func (s *Server) summary(ctx context.Context, in *setInput) (*body[*api.Summary], error) {
	summary, err := s.parts.Source.Summary(ctx, in.Set)
	return &body[*api.Summary]{summary}, dashboard.Missing(err, noSet, in.Set)
}

func (s *Server) history(ctx context.Context, in *setInput) (*body[[]api.DayCounts], error) {
	days, err := s.parts.Source.History(ctx, in.Set)
	return &body[[]api.DayCounts]{notNil(days)}, dashboard.Missing(err, noSet, in.Set)
}

func (s *Server) sets(ctx context.Context, _ *noInput) (*body[[]api.Set], error) {
	sets, err := s.parts.Source.Sets(ctx)
	return &body[[]api.Set]{notNil(sets)}, err
}

func (s *Server) setRevisions(ctx context.Context, in *revisionsInput) (*body[[]api.SetRevision], error) {
	revisions, err := s.parts.Source.SetRevisions(ctx, in.Name, in.Limit)
	return &body[[]api.SetRevision]{notNil(revisions)}, dashboard.Missing(err, noSet, in.Name)
}

func (s *Server) setDifference(ctx context.Context, in *differenceInput) (*body[*api.SetDifference], error) {
	difference, err := s.parts.Source.SetDifference(ctx, in.Name, in.Revision, in.Limit)
	return &body[*api.SetDifference]{difference}, dashboard.Missing(err, "No package set named %q is published, or it has no such revision; "+api.SetsPath+" lists the sets.", in.Name)
}

func (s *Server) excuses(ctx context.Context, in *excusesInput) (*body[*api.Excuses], error) {
	excuses, err := s.parts.Source.Excuses(ctx, in.From, in.To, in.Limit)
	return &body[*api.Excuses]{excuses}, dashboard.Missing(err, "%q or %q is no published revision of a package set, written SET@REVISION (SET@ is the newest); "+api.SetsPath+" lists the sets.", in.From, in.To)
}

// listPage is a part of a list of which there may be more.
type listPage[T any] struct {
	Link string `header:"Link" doc:"The next page, with rel=next."`
	Body T
}

func nextPage(url string) string { return fmt.Sprintf("<%s>; rel=\"next\"", url) }

func (s *Server) changes(ctx context.Context, in *changesInput) (*listPage[[]api.VerdictChange], error) {
	query := api.ChangeQuery{
		Set: in.Set, Maintainer: in.Maintainer, Ecosystem: in.Ecosystem, Project: in.Project, Package: in.Package, Limit: in.Limit, Cursor: in.Cursor,
	}
	changes, next, err := s.parts.Source.Changes(ctx, query)
	if err != nil {
		return nil, dashboard.Missing(err, noPage)
	}
	out := &listPage[[]api.VerdictChange]{Body: notNil(changes)}
	if query.Cursor = next; next != "" {
		out.Link = nextPage(query.URL(api.ChangesPath))
	}
	return out, nil
}

func (s *Server) packages(ctx context.Context, in *namesInput) (*listPage[*api.PackagePage], error) {
	query := api.PackageQuery{Text: in.Text, Limit: in.Limit, Cursor: in.Cursor}
	found, err := s.parts.Source.Packages(ctx, query)
	if err != nil {
		return nil, dashboard.Missing(err, "The cursor is not one of this list; leave it out to begin at the first.")
	}
	out := &listPage[*api.PackagePage]{Body: found}
	if query.Cursor = found.Next; found.Next != "" {
		out.Link = nextPage(query.URL(api.PackagesPath))
	}
	return out, nil
}

func (s *Server) maintainers(ctx context.Context, in *namesInput) (*listPage[*api.MaintainerPage], error) {
	query := api.MaintainerQuery{Text: in.Text, Limit: in.Limit, Cursor: in.Cursor}
	found, err := s.parts.Source.Maintainers(ctx, query)
	if err != nil {
		return nil, err
	}
	out := &listPage[*api.MaintainerPage]{Body: found}
	if query.Cursor = found.Next; found.Next != "" {
		out.Link = nextPage(query.URL(api.MaintainersPath))
	}
	return out, nil
}

func (s *Server) build(ctx context.Context, in *buildInput) (*body[*api.Build], error) {
	build, err := s.parts.Source.Build(ctx, in.Name)
	return &body[*api.Build]{build}, dashboard.Missing(err, "Nobody attested a build named %q.", in.Name)
}

func (s *Server) builders(ctx context.Context, _ *noInput) (*body[[]api.Builder], error) {
	builders, err := s.parts.Source.Builders(ctx)
	return &body[[]api.Builder]{notNil(builders)}, err
}

func (s *Server) agreement(ctx context.Context, _ *noInput) (*body[*api.Comparison], error) {
	comparison, err := s.parts.Source.Comparison(ctx)
	return &body[*api.Comparison]{comparison}, err
}

func (s *Server) builder(ctx context.Context, in *builderInput) (*body[*api.BuilderDetail], error) {
	id, err := signing.ParseBuilderID(in.ID)
	if err != nil {
		return nil, invalid("Parameter id: %v.", err)
	}
	builder, err := s.parts.Source.Builder(ctx, id)
	return &body[*api.BuilderDetail]{builder}, dashboard.Missing(err, "No builder %s is enrolled here; "+api.BuildersPath+" lists them.", id)
}

func invalid(format string, args ...any) error {
	return api.NewProblem(api.ProblemInvalidParameter, fmt.Sprintf(format, args...))
}

const noPage = "No such package set, or the cursor is not one of this list; leave it out to begin at the newest."

func (s *Server) divergences(ctx context.Context, in *divergencesInput) (*listPage[*api.DivergencePage], error) {
	query := api.DivergenceQuery{
		Set: in.Set, Shape: api.Shape(in.Shape), Cause: api.Side(in.Cause), Maintainer: in.Maintainer,
		Ecosystem: in.Ecosystem, Project: in.Project, Package: in.Package, Limit: in.Limit, Cursor: in.Cursor,
	}
	if in.Builder != "" {
		id, err := signing.ParseBuilderID(in.Builder)
		if err != nil {
			return nil, invalid("Parameter builder: %v.", err)
		}
		query.Builder = id
	}
	found, err := s.parts.Source.Divergences(ctx, query)
	if err != nil {
		return nil, dashboard.Missing(err, noPage)
	}
	found.Divergences = notNil(found.Divergences)
	out := &listPage[*api.DivergencePage]{Body: found}
	if query.Cursor = found.Next; found.Next != "" {
		out.Link = nextPage(query.URL(api.DivergencesPath))
	}
	return out, nil
}
