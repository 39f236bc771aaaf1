package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yannh/kubeconform/pkg/validator"
)

// A source is a module that publishes schemas, held to its checksum as go.sum would write it. It is
// not required in go.mod because nothing is compiled from it (and k8s.io/kubernetes cannot be
// required at all without replacing its staging modules).
type source struct {
	module, version, sum string
}

var (
	kubernetes = source{"k8s.io/kubernetes", "v1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE="}
	prometheus = source{"github.com/prometheus-operator/prometheus-operator", "v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="}
)

// dir returns the source's folder in the module cache, after downloading it if it is not there.
func (s source) dir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.module+"@"+s.version).Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil {
		return "", fmt.Errorf("downloading %s: %w", s.module, errors.Join(err, jsonErr))
	}
	if got.Error != "" {
		return "", fmt.Errorf("downloading %s: %s", s.module, got.Error)
	}
	if got.Sum != s.sum {
		return "", fmt.Errorf("downloading %s: its checksum is %s, not %s", s.module, got.Sum, s.sum)
	}
	return got.Dir, nil
}

// Schemas validates manifests against strict JSON schemas.
type Schemas struct {
	validator validator.Validator
}

// NewSchemas writes the schemas of every Kubernetes kind and of ServiceMonitor into dir.
func NewSchemas(ctx context.Context, dir string) (*Schemas, error) {
	if err := writeKubernetes(ctx, dir); err != nil {
		return nil, fmt.Errorf("writing the schemas of Kubernetes: %w", err)
	}
	if err := writeServiceMonitor(ctx, dir); err != nil {
		return nil, fmt.Errorf("writing the schema of ServiceMonitor: %w", err)
	}
	v, err := validator.New([]string{filepath.Join(dir, "{{.ResourceKind}}{{.KindSuffix}}.json")}, validator.Opts{Strict: true})
	if err != nil {
		return nil, fmt.Errorf("reading the schemas: %w", err)
	}
	return &Schemas{v}, nil
}

// Validate returns an error for every object of a YAML stream that its schema refuses.
func (s *Schemas) Validate(ctx context.Context, stream []byte) error {
	var all []error
	for _, result := range s.validator.ValidateWithContext(ctx, "manifests", io.NopCloser(bytes.NewReader(stream))) {
		switch result.Status {
		case validator.Valid, validator.Empty:
		case validator.Invalid, validator.Error, validator.Skipped:
			all = append(all, fmt.Errorf("comparing with the schema: %w\n%s", result.Err, result.Resource.Bytes))
		}
	}
	return errors.Join(all...)
}

const definitionsFile = "definitions.json"

// writeKubernetes splits the OpenAPI document: one file with all definitions, and one for each kind
// that refers to it.
func writeKubernetes(ctx context.Context, dir string) error {
	module, err := kubernetes.dir(ctx)
	if err != nil {
		return err
	}
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := readJSON(filepath.Join(module, "api", "openapi-spec", "swagger.json"), &document); err != nil {
		return err
	}
	for name, definition := range document.Definitions {
		switch name {
		// The document calls these two strings; the API takes numbers as well.
		case "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "io.k8s.apimachinery.pkg.api.resource.Quantity":
			definition["type"] = []string{"string", "number"}
			delete(definition, "format")
		}
		forbidUnknown(definition)
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		// Options and status objects belong to many groups and are never in a manifest.
		if len(kinds) != 1 {
			continue
		}
		kind, _ := kinds[0].(map[string]any)
		reference := map[string]any{"$ref": definitionsFile + "#/definitions/" + name}
		if err := writeSchema(dir, kind["group"], kind["version"], kind["kind"], reference); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(dir, definitionsFile), document)
}

func writeServiceMonitor(ctx context.Context, dir string) error {
	module, err := prometheus.dir(ctx)
	if err != nil {
		return err
	}
	var crd struct {
		Spec struct {
			Group string
			Names struct{ Kind string }
			// There is one version, v1.
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema map[string]any }
			}
		}
	}
	if err := readJSON(filepath.Join(module, "jsonnet", "prometheus-operator", "servicemonitors-crd.json"), &crd); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		definition := version.Schema.OpenAPIV3Schema
		forbidUnknown(definition)
		// A custom resource's metadata is the API's own, which Decode holds strictly.
		definition["properties"].(map[string]any)["metadata"] = map[string]any{"type": "object"}
		if err := writeSchema(dir, crd.Spec.Group, version.Name, crd.Spec.Names.Kind, definition); err != nil {
			return err
		}
	}
	return nil
}

// forbidUnknown refuses the fields that a schema with named properties does not name, at every depth.
func forbidUnknown(node any) {
	switch x := node.(type) {
	case map[string]any:
		_, named := x["properties"].(map[string]any)
		_, open := x["additionalProperties"]
		if named && !open && x["x-kubernetes-preserve-unknown-fields"] != true {
			x["additionalProperties"] = false
		}
		for _, child := range x {
			forbidUnknown(child)
		}
	case []any:
		for _, child := range x {
			forbidUnknown(child)
		}
	}
}

// writeSchema names the file as kubeconform looks it up: kind, first part of the group, version.
func writeSchema(dir string, group, version, kind any, schema map[string]any) error {
	name := fmt.Sprint(kind)
	if g := fmt.Sprint(group); g != "" {
		name += "-" + strings.SplitN(g, ".", 2)[0]
	}
	name += fmt.Sprintf("-%s.json", version)
	return writeJSON(filepath.Join(dir, strings.ToLower(name)), schema)
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a published schema: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}
