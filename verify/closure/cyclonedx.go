package closure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/ecosystem"
	"repronet.dev/verify"
)

// sbom is what is read of a CycloneDX document. The generators for Nix say in
// three ways which store paths a component stands for: sbomnix by properties
// "nix:output_path", one for each output, with the derivation as bom-ref;
// genealogos by a bom-ref that is the store path; bombon by one that is the store
// path's base name. A purl (pkg:nix/hello@2.12) names no build.
type sbom struct {
	Format     string      `json:"bomFormat"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component *component `json:"component"`
}

type component struct {
	Ref        string           `json:"bom-ref"`
	Properties []property       `json:"properties"`
	Hashes     []jsontext.Value `json:"hashes"`
	Components []component      `json:"components"`
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
	b.list.Of = "component"
	if main := document.Metadata.Component; main != nil {
		document.Components = append(document.Components, *main)
	}
	return b.components(document.Components, maxDepth)
}

func (b *builder) components(components []component, depth int) error {
	if depth == 0 {
		return fmt.Errorf("components are nested deeper than %d", maxDepth)
	}
	for i := range components {
		if err := b.component(&components[i]); err != nil {
			return err
		}
		if err := b.components(components[i].Components, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// component adds what a component stands for. One of its outputs that cannot be
// read takes the others not away.
func (b *builder) component(c *component) error {
	names, source := c.outputs()
	if len(names) == 0 {
		b.list.Unnamed++
		return nil
	}
	taken := false
	for _, name := range names {
		path, err := ecosystem.ParseStoreName(name)
		if err != nil {
			b.list.Skipped.Add(0, fmt.Errorf("component %.200q: %w", c.Ref, err))
			continue
		}
		output := verify.Output{Ecosystem: ecosystem.Nix, Key: path.String()}
		taken = true
		if source {
			b.source(output)
			continue
		}
		if err := b.add(Item{Output: output}); err != nil {
			return err
		}
	}
	if taken {
		b.list.Taken++
	}
	return nil
}

// source adds a path that is a source.
func (b *builder) source(output verify.Output) {
	if _, ok := b.seen[output]; !ok {
		b.seen[output] = -1
		b.list.Sources = append(b.list.Sources, output.Key)
	}
}

// outputs returns the store paths of a component, and whether they are sources:
// sbomnix says so by where a fetcher got them, bombon by the hash that the recipe
// fixes, and of genealogos only the name tells.
func (c *component) outputs() (paths []string, source bool) {
	source = len(c.Hashes) > 0
	for _, p := range c.Properties {
		switch p.Name {
		case "nix:output_path", "nix:out_path":
			paths = append(paths, p.Value)
		case "nix:fetch_url":
			source = true
		}
	}
	if len(paths) > 0 {
		return paths, source
	}
	// What is no store path is a package of a language, which bombon and others
	// list as well.
	p, err := ecosystem.ParseStoreName(c.Ref)
	if full := strings.HasPrefix(c.Ref, ecosystem.NixStore); err == nil && full {
		source = source || looksLikeSource(p.Name)
	} else if err != nil && !full {
		return nil, source
	}
	if ecosystem.Of(ecosystem.Nix).IsRecipe(p.String()) {
		return nil, source
	}
	return []string{c.Ref}, source
}

// sourceEndings are how Nixpkgs' fetchers end the names of what they fetch.
var sourceEndings = []string{
	".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tar.lz", ".tgz", ".tbz2", ".txz", ".zip", ".crate", ".gem", ".patch", ".diff", ".patch.gz",
}

// looksLikeSource tells a source by its name.
// Nixpkgs calls what it unpacks "source".
func looksLikeSource(name string) bool {
	return name == "source" || slices.ContainsFunc(sourceEndings, func(ending string) bool { return strings.HasSuffix(name, ending) })
}
