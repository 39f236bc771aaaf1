package http

import (
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// newAPI returns the API without operations yet.
func (s *Server) newAPI() huma.API {
	config := huma.DefaultConfig("repronet", "1")
	config.Info.Description = "What independent builders attested, and what follows from it. " +
		"Every number is a function of the ledger: GET answers carry an ETag that changes only when the answers cover more of it. " +
		"What compares builders with each other is computed now and then; as_of says how many ledger entries it covers. " +
		"Whatever answers GET answers HEAD. Errors are problem documents (RFC 9457)."
	config.OpenAPIPath = "" // a route like any other
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil // no $schema members in answers
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	config.Transformers = []huma.Transformer{s.explained}
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schemas.RegisterTypeAlias(reflect.TypeFor[jsontext.Value](), reflect.TypeFor[mapProofPart]())
	schemas.RegisterTypeAlias(reflect.TypeFor[tlog.Hash](), reflect.TypeFor[[]byte]())
	config.Components.Schemas = schemas
	operations := huma.NewAPI(config, headToo{humagin.New(s.engine, config).Adapter()})
	operations.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		programHeaders(humagin.Unwrap(ctx))
		next(ctx)
	})
	return operations
}

// jsonFormat writes documents as the other handlers do: with members and keys in a fixed
// order, so that equal watermarks mean equal bytes. What is no UTF-8 is written with replacement
// characters, as on pages.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, document any) error {
		text, err := json.Marshal(document, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	},
	Unmarshal: func(text []byte, document any) error { return json.Unmarshal(text, document) },
}

// mapProofPart is how package outputmap writes a proof.
type mapProofPart struct {
	Leaves []mapLeaf `json:"leaves" doc:"The key's leaf, or those between which it would be."`
}

type mapLeaf struct {
	Position uint64   `json:"position"`
	Key      string   `json:"key" pattern:"^[0-9a-f]+$"`
	Entries  []uint64 `json:"entries" doc:"Ledger indices, ascending."`
	Path     [][]byte `json:"path" doc:"RFC 6962 audit path, leaf to root."`
}

// A description says of an operation what huma does not know: those that stream, or
// answer with bytes.
type description struct {
	summary  string
	doc      string
	params   []param
	takes    []content
	answers  []answer
	problems []api.ProblemKind
}

// A param is a parameter; its place is the path if the route's path has its name.
type param struct {
	name, doc string
	of        reflect.Type
	required  bool
}

// content is a media type, and the type of the document that comes with it; nil
// stands for bytes, and for text.
type content struct {
	media string
	of    reflect.Type
}

type answer struct {
	status   int
	doc      string
	contents []content
	headers  map[string]string // what each says
}

func (d *description) operation(r route, schemas huma.Registry) *huma.Operation {
	op := &huma.Operation{
		OperationID: r.name, Method: r.method, Path: openAPIPath(r.path), Summary: d.summary, Description: d.doc,
		Responses: problemAnswers(schemas, append(slices.Clone(d.problems), api.ProblemInternal)...),
	}
	for _, p := range d.params {
		in := "query"
		if strings.Contains(r.path, "{"+p.name+"}") || strings.Contains(r.path, "{"+p.name+"...}") {
			in = "path"
		}
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: p.name, In: in, Description: p.doc, Required: p.required || in == "path", Schema: schemas.Schema(p.of, true, ""),
		})
	}
	if len(d.takes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: contents(schemas, d.takes)}
	}
	for _, a := range d.answers {
		response := &huma.Response{Description: a.doc, Content: contents(schemas, a.contents)}
		for name, doc := range a.headers {
			if response.Headers == nil {
				response.Headers = map[string]*huma.Param{}
			}
			response.Headers[name] = &huma.Param{Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
		}
		op.Responses[strconv.Itoa(a.status)] = response
	}
	return op
}

func contents(schemas huma.Registry, list []content) map[string]*huma.MediaType {
	all := map[string]*huma.MediaType{}
	for _, c := range list {
		schema := &huma.Schema{Type: huma.TypeString}
		switch {
		case c.of != nil && c.media != api.LinesType:
			schema = schemas.Schema(c.of, true, "")
		case c.of != nil:
			schema.Description = "One JSON document a line: " + schemas.Schema(c.of, true, "").Ref
		case c.media == bytesType:
			schema.Format = "binary"
		}
		all[c.media] = &huma.MediaType{Schema: schema}
	}
	return all
}

// problemAnswers describes the answers of some kinds, by status.
func problemAnswers(schemas huma.Registry, kinds ...api.ProblemKind) map[string]*huma.Response {
	schema := schemas.Schema(reflect.TypeFor[api.Problem](), true, "")
	answers := map[string]*huma.Response{}
	for _, kind := range kinds {
		status := strconv.Itoa(api.NewProblem(kind, "").Status)
		if a, ok := answers[status]; ok {
			a.Description += ", or " + string(kind)
			continue
		}
		answers[status] = &huma.Response{
			Description: "A problem: " + string(kind), Content: map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
	return answers
}

// describe returns a function that writes the OpenAPI document, once.
func (s *Server) describe() func() ([]byte, error) {
	document := s.api.OpenAPI()
	listValues(document.Components.Schemas)
	for _, schema := range document.Components.Schemas.Map() {
		neverNull(schema)
	}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post} {
			if op == nil {
				continue
			}
			for _, response := range op.Responses {
				for _, content := range response.Content {
					neverNull(content.Schema)
				}
			}
		}
	}
	return sync.OnceValues(document.MarshalJSON)
}

func (s *Server) openAPI(c *gin.Context) {
	document, err := s.document()
	if err != nil {
		s.fail(c, err)
		return
	}
	if !unchanged(c, etagOfBytes(document), askAgain) {
		c.Data(http.StatusOK, "application/openapi+json", document)
	}
}

// neverNull says of lists what huma cannot know: an empty one is [] in JSON.
func neverNull(schema *huma.Schema) {
	if schema == nil {
		return
	}
	if schema.Type == huma.TypeArray {
		schema.Nullable = false
	}
	neverNull(schema.Items)
	for _, member := range schema.Properties {
		neverNull(member)
	}
	for _, alternative := range schema.OneOf {
		neverNull(alternative)
	}
}

// listValues adds to the schemas of documents which values the types of package api
// with few of them can have.
func listValues(schemas huma.Registry) {
	for name, schema := range schemas.Map() {
		if t := schemas.TypeFromRef("#/components/schemas/" + name); t != nil {
			listFields(schema, t)
		}
	}
}

func listFields(schema *huma.Schema, t reflect.Type) {
	for field := range t.Fields() {
		if field.Anonymous {
			listFields(schema, field.Type)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		member, kind := schema.Properties[name], field.Type
		if member == nil {
			continue
		}
		if kind.Kind() == reflect.Slice {
			member, kind = member.Items, kind.Elem()
		}
		if few, ok := reflect.TypeAssert[interface{ Values() []string }](reflect.Zero(kind)); ok && member != nil {
			member.Enum = nil
			for _, value := range few.Values() {
				member.Enum = append(member.Enum, value)
			}
		}
	}
}

// operations lists what the API answers to GET, for the page about it.
func (s *Server) operations() []dashboard.Operation {
	var rows []dashboard.Operation
	for path, item := range s.api.OpenAPI().Paths {
		if item.Get == nil {
			continue
		}
		row := dashboard.Operation{Path: path, Summary: item.Get.Summary}
		for _, p := range item.Get.Parameters {
			if p.In == "query" {
				row.Parameters = append(row.Parameters, p.Name)
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b dashboard.Operation) int { return strings.Compare(a.Path, b.Path) })
	return rows
}
