// Package apitest checks answers against the OpenAPI document that comes with them.
// It is for tests only, and trusts neither: a document that is none, and an answer
// that the document does not describe, fail the test.
package apitest

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A Document is an OpenAPI 3.1 document.
type Document struct {
	compiler *jsonschema.Compiler
	paths    map[string]map[string]operation
}

type operation struct {
	ID        string                  `json:"operationId"`
	Responses map[string]responseType `json:"responses"`
}

type responseType struct {
	Content map[string]struct {
		Schema *struct{} `json:"schema"`
	} `json:"content"`
}

const location = "openapi.json"

// Open reads a document.
func Open(t testing.TB, text []byte) *Document {
	t.Helper()
	var read struct {
		OpenAPI string                          `json:"openapi"`
		Paths   map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(read.OpenAPI, "3.1.") {
		t.Fatalf("OpenAPI %q, want 3.1", read.OpenAPI)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := &Document{compiler: jsonschema.NewCompiler(), paths: read.Paths}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	d.compiler.AssertContent()
	if err := d.compiler.AddResource(location, resource); err != nil {
		t.Fatal(err)
	}
	return d
}

// Operations lists what is described, "GET /api/v1/summary", sorted.
func (d *Document) Operations() []string {
	var list []string
	for path, item := range d.paths {
		for method := range item {
			list = append(list, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(list)
	return list
}

// Match finds the operation that is described for a request, "GET /log/tile/{path}";
// "" if there is none.
func (d *Document) Match(method, path string) string {
	best := ""
	for _, operation := range d.Operations() {
		m, pattern, _ := strings.Cut(operation, " ")
		if m == method && matches(pattern, path) && (best == "" || strings.Count(operation, "{") < strings.Count(best, "{")) {
			best = operation
		}
	}
	return best
}

func matches(pattern, path string) bool {
	ps, ss := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i, p := range ps {
		if i >= len(ss) || !strings.HasPrefix(p, "{") && p != ss[i] {
			return false
		}
		if p == "{path}" {
			return true // the rest
		}
	}
	return len(ps) == len(ss)
}

// Check fails the test unless an answer of an operation, as [Document.Match] names it,
// is as described.
func (d *Document) Check(t testing.TB, operation string, r *http.Response, body []byte) {
	t.Helper()
	if err := d.check(operation, r, body); err != nil {
		t.Errorf("%s: the answer with status %d is not as described: %v\n%.1000s", operation, r.StatusCode, err, body)
	}
}

func (d *Document) check(operation string, r *http.Response, body []byte) error {
	method, path, _ := strings.Cut(operation, " ")
	described, ok := d.paths[path][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("no operation %q", operation)
	}
	status := strconv.Itoa(r.StatusCode)
	response, ok := described.Responses[status]
	if !ok {
		return fmt.Errorf("no such status")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("Content-Type %q: %w", r.Header.Get("Content-Type"), err)
	}
	content, ok := response.Content[media]
	if !ok {
		return fmt.Errorf("no such Content-Type %q", media)
	}
	if !strings.HasSuffix(media, "json") || content.Schema == nil {
		return nil
	}
	schema, err := d.compiler.Compile(location + "#/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/" + status + "/content/" + escape(media) + "/schema")
	if err != nil {
		return err
	}
	return validate(schema, body)
}

// CheckLines is Check for JSON lines, each of which has to be a schema of the
// document's components.
func (d *Document) CheckLines(t testing.TB, component string, body []byte) {
	t.Helper()
	schema, err := d.compiler.Compile(location + "#/components/schemas/" + component)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(body) {
		if err := validate(schema, line); err != nil {
			t.Errorf("line %.300s is no %s: %v", line, component, err)
		}
	}
}

func validate(schema *jsonschema.Schema, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func escape(token string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(token)
}
