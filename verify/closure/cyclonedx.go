package closure

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"repronet/verify"
)

// sbom is what is read of a CycloneDX document. The generators for Nix say in
// two ways which store paths a component stands for: sbomnix by properties
// "nix:output_path", one for each output, with the derivation as bom-ref; bombon
// by a bom-ref that is the store path. A purl (pkg:nix/hello@2.12) names no build.
type sbom struct {
	Format     string      `json:"bomFormat"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component *component `json:"component"`
}

type component struct {
	Ref        string      `json:"bom-ref"`
	Properties []property  `json:"properties"`
	Components []component `json:"components"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// maxDepth bounds how deep components are nested.
const maxDepth = 16

func (b *builder) sbom(text []byte) error {
	var document sbom
	if err := json.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("as a CycloneDX SBOM: %w", err)
	}
	if document.Format != "CycloneDX" {
		return fmt.Errorf("bomFormat is %.40q, only CycloneDX is known", document.Format)
	}
	if main := document.Metadata.Component; main != nil {
		document.Components = append(document.Components, *main)
	}
	return b.components(document.Components, maxDepth)
}

func (b *builder) components(components []component, depth int) error {
	if depth == 0 {
		return fmt.Errorf("components are nested deeper than %d", maxDepth)
	}
	for _, c := range components {
		named := false
		for _, path := range c.outputs() {
			if err := b.add(verify.Output{Ecosystem: "nix", Key: path}, nil); err != nil {
				return fmt.Errorf("component %.200q: %w", c.Ref, err)
			}
			named = true
		}
		if !named {
			b.list.Unnamed++
		}
		if err := b.components(c.Components, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (c *component) outputs() []string {
	var paths []string
	for _, p := range c.Properties {
		if p.Name == "nix:output_path" || p.Name == "nix:out_path" {
			paths = append(paths, p.Value)
		}
	}
	if paths == nil && strings.HasPrefix(c.Ref, "/nix/store/") && !strings.HasSuffix(c.Ref, ".drv") {
		paths = []string{c.Ref}
	}
	return paths
}
