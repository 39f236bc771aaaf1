package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"repronet/attestation"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/signing"
)

// NewAPI returns the API v1 on an engine, without operations yet.
// [Dashboard.Register] adds those that read.
func NewAPI(engine *gin.Engine) huma.API {
	config := huma.DefaultConfig("repronet", "1")
	config.Info.Description = "What independent builders attested, and what follows from it. " +
		"Every number is a function of the ledger: GET answers carry an ETag that changes only when the answers cover more of it. " +
		"What compares builders with each other is computed now and then; as_of says how many ledger entries it covers. " +
		"Errors are problem documents (RFC 9457)."
	config.OpenAPIPath = "" // served by Register: huma's own handler is not safe for concurrent first requests
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil // no $schema members in answers
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{problems}
	api := humagin.New(engine, config)
	api.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		ctx.SetHeader("X-Content-Type-Options", "nosniff")
		ctx.SetHeader("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if ctx.Method() == http.MethodGet {
			ctx.SetHeader("Access-Control-Allow-Origin", "*")
			ctx.SetHeader("Access-Control-Expose-Headers", "ETag, Link")
		}
		next(ctx)
	})
	return api
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
	outputsInput struct {
		Name   string `query:"name" maxLength:"1024" doc:"The output's key: a store path, or <build>^<output>."`
		Digest string `query:"digest" maxLength:"100" doc:"A digest that anybody ever claimed: sha256: and 64 hexadecimal digits."`
	}
	divergencesInput struct {
		Set        string `query:"set" maxLength:"200" doc:"Only outputs of this package set."`
		Shape      string `query:"shape" doc:"Only this shape." enum:"self,scatter,outlier,split"`
		Cause      string `query:"cause" doc:"Only this side of the cause." enum:"own,inherited,unknown"`
		Builder    string `query:"builder" doc:"Only where this builder holds a digest among the factions." maxLength:"100"`
		Maintainer string `query:"maintainer" maxLength:"200" doc:"Only outputs that a package set says this person maintains."`
		Limit      int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many on a page."`
		Cursor     string `query:"cursor" maxLength:"1000" doc:"From the page before: follow its Link header with rel=next."`
	}
	builderInput struct {
		ID string `path:"id" doc:"The builder: 32 characters of a-z and 2-7."`
	}
	entryInput struct {
		Index uint64 `path:"index" doc:"The ledger index, counted from 0."`
	}
)

type divergencesOutput struct {
	Link string `header:"Link" doc:"The next page, with rel=next."`
	Body *DivergencePage
}

type entryOutput struct {
	ContentType  string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	LastModified string `header:"Last-Modified" doc:"When the ledger received the entry."`
	Kind         string `header:"Repronet-Kind" doc:"The entry's kind: attestation, enrolment, revocation, package-set."`
	Body         []byte
}

func (d *Dashboard) registerAPI(engine *gin.Engine, api huma.API) {
	describeOthers(api.OpenAPI())
	operation(d, api, "get-summary", "/api/v1/summary", "Counts of all outputs, or of a package set", func(ctx context.Context, in *setInput) (*body[*Summary], error) {
		summary, err := d.source.Summary(ctx, in.Set)
		return &body[*Summary]{summary}, missing(err, "No package set named %q is published; /api/v1/sets lists them.", in.Set)
	})
	operation(d, api, "get-history", "/api/v1/history", "Counts at the end of each day on which one changed", func(ctx context.Context, in *setInput) (*body[[]DayCounts], error) {
		days, err := d.source.History(ctx, in.Set)
		return &body[[]DayCounts]{notNil(days)}, missing(err, "No package set named %q is published; /api/v1/sets lists them.", in.Set)
	})
	operation(d, api, "list-sets", "/api/v1/sets", "Package sets at their newest revisions", func(ctx context.Context, _ *noInput) (*body[[]Set], error) {
		sets, err := d.source.Sets(ctx)
		return &body[[]Set]{notNil(sets)}, err
	})
	operation(d, api, "get-build", "/api/v1/builds", "A build with its outputs and all claims on them", func(ctx context.Context, in *buildInput) (*body[*Build], error) {
		build, err := d.source.Build(ctx, in.Name)
		return &body[*Build]{build}, missing(err, "Nobody attested a build named %q.", in.Name)
	})
	operation(d, api, "get-outputs", "/api/v1/outputs", "An output by its name, or the outputs for which a digest was ever claimed", d.outputs,
		func(o *huma.Operation) { o.Responses = outputsResponses(api.OpenAPI().Components.Schemas) })
	operation(d, api, "list-divergences", "/api/v1/divergences", "Diverged outputs, newest first", d.listDivergences)
	operation(d, api, "list-builders", "/api/v1/builders", "Builders, by operator", func(ctx context.Context, _ *noInput) (*body[[]Builder], error) {
		builders, err := d.source.Builders(ctx)
		return &body[[]Builder]{notNil(builders)}, err
	})
	operation(d, api, "list-agreement", "/api/v1/agreement", "Operators compared pairwise on the outputs that both claim", func(ctx context.Context, _ *noInput) (*body[*Comparison], error) {
		comparison, err := d.source.Comparison(ctx)
		return &body[*Comparison]{comparison}, err
	})
	operation(d, api, "get-builder", "/api/v1/builders/{id}", "A builder, its key and its streams", func(ctx context.Context, in *builderInput) (*body[*BuilderDetail], error) {
		id, err := signing.ParseBuilderID(in.ID)
		if err != nil {
			return nil, invalid("Parameter id: %v.", err)
		}
		builder, err := d.source.Builder(ctx, id)
		return &body[*BuilderDetail]{builder}, missing(err, "No builder %s is enrolled here; /api/v1/builders lists them.", id)
	})
	if d.config.Entry != nil {
		d.registerEntries(api)
	}
	d.serveDescription(engine, api)
}

// operation registers a GET whose answer is a function of the watermark and the
// query.
func operation[I, O any](d *Dashboard, api huma.API, id, path, summary string, answer func(context.Context, *I) (*O, error), options ...func(*huma.Operation)) {
	op := huma.Operation{
		OperationID: id,
		Method:      http.MethodGet,
		Path:        path,
		Summary:     summary,
		Errors:      []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
		Middlewares: huma.Middlewares{d.conditional},
	}
	for _, option := range options {
		option(&op)
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (_ *O, err error) {
		defer func() {
			if reason := recover(); reason != nil {
				err = d.problem(ctx, id, fmt.Errorf("panic: %v", reason))
			}
		}()
		out, err := answer(ctx, in)
		if err != nil {
			return nil, d.problem(ctx, id, err)
		}
		return out, nil
	})
}

// problem logs a fault of the server and hides it behind a problem document.
func (d *Dashboard) problem(ctx context.Context, operation string, err error) *problem {
	p := newProblem(err)
	if p.Status == http.StatusInternalServerError {
		d.config.Logger.ErrorContext(ctx, "answering request", "operation", operation, "error", err)
	}
	return p
}

// outputs answers with an [Output] where a name was asked for, and with a list
// of [OutputRow] where a digest was.
func (d *Dashboard) outputs(ctx context.Context, in *outputsInput) (*body[any], error) {
	switch {
	case (in.Name == "") == (in.Digest == ""):
		return nil, invalid("Give either name, an output's key, or digest, a SHA-256 digest.")
	case in.Name != "":
		output, err := d.source.Output(ctx, in.Name)
		return &body[any]{output}, missing(err, "Nobody attested an output named %q.", in.Name)
	}
	digest, err := attestation.ParseDigest(in.Digest)
	if err != nil {
		return nil, invalid("Parameter digest: %v.", err)
	}
	rows, err := d.source.ByDigest(ctx, digest)
	return &body[any]{notNil(rows)}, err
}

// outputsResponses describes the two forms of [Dashboard.outputs].
func outputsResponses(schemas huma.Registry) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "With name, the output; with digest, a list of at most 1,000 outputs",
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{
			schemas.Schema(reflect.TypeFor[Output](), true, ""),
			{Type: huma.TypeArray, Items: schemas.Schema(reflect.TypeFor[OutputRow](), true, "")},
		}}}},
	}}
}

func (d *Dashboard) listDivergences(ctx context.Context, in *divergencesInput) (*divergencesOutput, error) {
	query := DivergenceQuery{Set: in.Set, Shape: in.Shape, Cause: in.Cause, Maintainer: in.Maintainer, Limit: in.Limit, Cursor: in.Cursor}
	if in.Builder != "" {
		id, err := signing.ParseBuilderID(in.Builder)
		if err != nil {
			return nil, invalid("Parameter builder: %v.", err)
		}
		query.Builder = id
	}
	page, err := d.source.Divergences(ctx, query)
	if err != nil {
		return nil, missing(err, "No such package set, or the cursor is not one of this list; leave it out to begin at the newest.")
	}
	page.Divergences = notNil(page.Divergences)
	out := &divergencesOutput{Body: page}
	if page.Next != "" {
		query.Cursor = page.Next
		out.Link = fmt.Sprintf("<%s>; rel=\"next\"", divergencesURL("/api/v1/divergences", query))
	}
	return out, nil
}

// divergencesURL writes a query as the parameters of a page or an operation.
func divergencesURL(path string, q DivergenceQuery) string {
	v := url.Values{}
	for name, value := range map[string]string{
		"set": q.Set, "shape": q.Shape, "cause": q.Cause, "builder": string(q.Builder), "maintainer": q.Maintainer, "cursor": q.Cursor,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// registerEntries offers the evidence itself, byte for byte as it came.
func (d *Dashboard) registerEntries(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-entry",
		Method:      http.MethodGet,
		Path:        "/api/v1/entries/{index}",
		Summary:     "The body of a ledger entry, byte for byte: for an attestation, its Sigstore bundle",
		Errors:      []int{http.StatusNotFound, http.StatusUnprocessableEntity},
		Responses: map[string]*huma.Response{"200": {
			Description: "The evidence",
			Content:     map[string]*huma.MediaType{wire.BundleType: {}, "application/json": {}},
		}},
	}, func(ctx context.Context, in *entryInput) (*entryOutput, error) {
		watermark, err := d.source.Watermark(ctx)
		if err == nil && in.Index >= watermark.Indexed {
			err = ErrNotFound
		}
		var entry *ledger.Entry
		if err == nil {
			entry, err = d.config.Entry(ctx, in.Index)
		}
		if err != nil {
			return nil, d.problem(ctx, "get-entry", missing(err, "The index has no ledger entry %d yet; it ends before entry %d.", in.Index, watermark.Indexed))
		}
		out := &entryOutput{
			ContentType:  "application/json",
			CacheControl: "public, max-age=31536000, immutable",
			LastModified: entry.ReceivedAt.UTC().Format(http.TimeFormat),
			Kind:         string(entry.Kind),
			Body:         entry.Body,
		}
		if entry.Kind == ledger.Attestation {
			out.ContentType = wire.BundleType
		}
		return out, nil
	})
}
