package dashboard

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"repronet/internal/wire"
)

// openAPIPath is where the API describes itself.
const openAPIPath = "/api/v1/openapi.json"

// serveDescription answers with the OpenAPI document, which is written down at
// the first request: whoever shares the API has registered by then.
func (d *Dashboard) serveDescription(engine *gin.Engine, api huma.API) {
	description := sync.OnceValues(api.OpenAPI().MarshalJSON)
	engine.GET(openAPIPath, func(c *gin.Context) {
		document, err := description()
		if err != nil {
			d.config.Logger.ErrorContext(c.Request.Context(), "describing the API", "error", err)
			writeProblem(c, err)
			return
		}
		c.Header("Access-Control-Allow-Origin", "*")
		c.Data(http.StatusOK, "application/openapi+json", document)
	})
}

// describe lists the operations of an API that are read with GET.
func describe(api huma.API) []operationRow {
	var rows []operationRow
	for path, item := range api.OpenAPI().Paths {
		if item.Get == nil {
			continue
		}
		row := operationRow{Path: path, Summary: item.Get.Summary}
		for _, p := range item.Get.Parameters {
			if p.In == "query" {
				row.Parameters = append(row.Parameters, p.Name)
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b operationRow) int { return strings.Compare(a.Path, b.Path) })
	return rows
}

// describeOthers adds what the aggregator answers without huma, because it
// streams or serves bytes: submissions, the roster, the filters of package sets.
func describeOthers(document *huma.OpenAPI) {
	text := &huma.Schema{Type: huma.TypeString}
	base64 := &huma.Schema{Type: huma.TypeString, ContentEncoding: "base64"}
	number := &huma.Schema{Type: huma.TypeInteger, Minimum: new(float64)}
	problem := document.Components.Schemas.Schema(reflect.TypeFor[wire.Problem](), true, "")
	problems := func(statuses ...string) map[string]*huma.Response {
		responses := map[string]*huma.Response{}
		for _, status := range statuses {
			responses[status] = &huma.Response{Description: "A problem", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}
		}
		return responses
	}
	result := &huma.Schema{
		Type: huma.TypeObject, Description: "Exactly one of receipt and problem is there.",
		Properties: map[string]*huma.Schema{
			"duplicate": {Type: huma.TypeBoolean, Description: "The ledger had the same claim of the same builder already; the receipt is that entry's."},
			"receipt": {Type: huma.TypeObject, Required: []string{"index", "entry", "proof", "checkpoint"}, Properties: map[string]*huma.Schema{
				"index": number, "entry": base64, "proof": {Type: huma.TypeArray, Items: base64}, "checkpoint": text,
			}},
			"problem": problem,
		},
	}
	submit := problems("400", "403", "408", "413", "415", "503")
	submit["200"] = &huma.Response{Description: "For one bundle its result; for several one result a line, in order", Content: map[string]*huma.MediaType{
		"application/json": {Schema: result}, wire.LinesType: {Schema: result},
	}}
	document.AddOperation(&huma.Operation{
		OperationID: "submit-attestations", Method: http.MethodPost, Path: wire.SubmitPath,
		Summary: "Submit a Sigstore bundle, or up to 1,000 of them, one a line, with optional Content-Encoding zstd or gzip",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			wire.BundleType: {Schema: &huma.Schema{Type: huma.TypeObject}}, wire.LinesType: {Schema: text},
		}},
		Responses: submit,
	})
	describeEnrolments(document, problems, result.Properties["receipt"])
	document.AddOperation(&huma.Operation{
		OperationID: "get-roster", Method: http.MethodGet, Path: wire.BuildersPath,
		Summary: "The builders' keys, as the ledger's enrolments make them, with the checkpoint of that ledger",
		Responses: map[string]*huma.Response{"200": {Description: "The roster", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}},
		}}},
	})
	filter := problems("404")
	filter["200"] = &huma.Response{
		Description: "The first 12 bytes of each member's output ID, sorted, one after the other",
		Content:     map[string]*huma.MediaType{"application/octet-stream": {}},
	}
	document.AddOperation(&huma.Operation{
		OperationID: "get-set-filter", Method: http.MethodGet, Path: wire.FilterPath("{name}"),
		Summary:    "Which outputs a package set has, for reporters that tell nobody what they look for",
		Parameters: []*huma.Param{{Name: "name", In: "path", Required: true, Schema: text}},
		Responses:  filter,
	})
}

// describeEnrolments adds how builders ask to be enrolled.
func describeEnrolments(document *huma.OpenAPI, problems func(statuses ...string) map[string]*huma.Response, receipt *huma.Schema) {
	text := &huma.Schema{Type: huma.TypeString}
	bundle := &huma.Schema{Type: huma.TypeObject, Description: "A Sigstore bundle over the in-toto statement https://repronet.dev/enrolment/v1."}
	enrolment := map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"builder", "state", "next"},
		Properties: map[string]*huma.Schema{
			"builder": text, "operator": text, "tier": text, "receipt": receipt,
			"state": {Type: huma.TypeString, Enum: []any{"pending", "enrolled", "refused"}},
			"next":  {Type: huma.TypeString, Description: "What happens next, for the person who asked."},
		},
	}}}
	ask := problems("400", "403", "409", "413", "415", "429", "503")
	ask["200"] = &huma.Response{Description: "The builder is enrolled; the receipt is for its first enrolment", Content: enrolment}
	ask["202"] = &huma.Response{Description: "A person decides", Content: enrolment}
	document.AddOperation(&huma.Operation{
		OperationID: "ask-enrolment", Method: http.MethodPost, Path: wire.EnrolmentsPath,
		Summary: "Ask for a builder to be enrolled, with its key's signature",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
			Type: huma.TypeObject, Required: []string{"request"},
			Properties: map[string]*huma.Schema{"request": bundle, "endorsement": bundle, "identity": bundle},
		}}}},
		Responses: ask,
	})
	state := problems("404", "503")
	state["200"] = &huma.Response{Description: "How it stands", Content: enrolment}
	document.AddOperation(&huma.Operation{
		OperationID: "get-enrolment", Method: http.MethodGet, Path: wire.EnrolmentsPath + "/{builder}",
		Summary:    "What became of a builder's request to be enrolled",
		Parameters: []*huma.Param{{Name: "builder", In: "path", Required: true, Schema: text}},
		Responses:  state,
	})
}
