// Package gitian reads assertions of Gitian builds: what a builder says came out of
// a deterministic build, and what went into it.
//
//	<release>/<builder>/<name>-build.assert      the assertion, YAML
//	<release>/<builder>/<name>-build.assert.sig  a detached OpenPGP signature
//
// # The document
//
// The format is what gitian-builder's gsign writes. A mapping, or a sequence of
// mappings of one member each (YAML's omap), has
//
//   - out_manifest: rows of sha256sum, the files that came out;
//   - in_manifest: the same of the files that went in, among them the build's
//     descriptor, and a line "git:<commit> <repository>" for each source;
//   - base_manifests: for each base system, the packages in it with their digests;
//   - name: the descriptor's; release: free text.
//
// # The output
//
// File names repeat between releases, and so do the names of descriptors, so that
// an output is what a descriptor made of sources:
//
//	<project>/<name>@<commits>/<file>
//
// in the ecosystem [ecosystem.Release]. The commits are those of in_manifest,
// in the order of the repositories' names, with "+" between them. Where there is
// none, "inputs-" and the first 40 digits of the SHA-256 over the sorted lines of in_manifest stand
// there. The release says nothing that is believed: it is free text.
//
// [Assertion.Inputs] is over everything that went in, base systems too: builders whose outputs
// differ with the same inputs differ by themselves.
//
// # Trust
//
// Nothing here is trusted, and nothing is proven: whose word an assertion is,
// package openpgp says. What is read is bounded by the size of a text; anchors and
// aliases of YAML are refused. Two readers have to take the same bytes for the same
// rows, so that the subset of YAML that is accepted is small: block, quoted and
// plain texts as values, and nothing twice.
package gitian

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"repronet.dev/attestation"
	"repronet.dev/evidence/openpgp"
)

// An Assertion is what the text of a document says, whoever signed it.
type Assertion struct {
	Name    string // of the descriptor
	Release string // free text
	Commits []Commit
	// Rows are those of out_manifest.
	Rows openpgp.Rows
	// Inputs is the SHA-256 over the sorted lines "<path> <digest>\n" of all
	// that went in: "in/<file>", "git/<repository>" and "base/<system>/<package>".
	Inputs attestation.Digest
}

// A Commit is a source of a build.
type Commit struct{ Repository, ID string }

// maxCommits bounds the sources of a build: output keys name them all.
const maxCommits = 8

// Parse reads an assertion for a project. An error wraps [openpgp.ErrMalformed]: it
// is none, or it has no row that says anything.
func Parse(project string, text []byte) (*Assertion, error) {
	a, err := parse(project, text)
	if err != nil {
		return nil, fmt.Errorf("%w Gitian assertion: %w", openpgp.ErrMalformed, err)
	}
	return a, nil
}

func parse(project string, text []byte) (*Assertion, error) {
	members, err := members(text)
	if err != nil {
		return nil, err
	}
	a := &Assertion{}
	var in, out string
	for _, m := range []struct {
		name     string
		value    *string
		required bool
	}{{"name", &a.Name, true}, {"release", &a.Release, false}, {"out_manifest", &out, true}, {"in_manifest", &in, true}} {
		node, ok := members[m.name]
		switch {
		case !ok && m.required:
			return nil, fmt.Errorf("it has no member %s", m.name)
		case ok && node.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: %s is not a text", node.Line, m.name)
		case ok:
			*m.value = node.Value
		}
	}
	lines := a.readInputs(in)
	if len(a.Commits) > maxCommits {
		return nil, fmt.Errorf("in_manifest names %d commits, at most %d are accepted", len(a.Commits), maxCommits)
	}
	base, err := baseLines(members["base_manifests"])
	if err != nil {
		return nil, err
	}
	a.Inputs = digestOf(append(lines, base...))
	if a.Name == "" || strings.ContainsAny(a.Name, "/@^") {
		return nil, fmt.Errorf("the descriptor's name %.100q is empty, or has one of / @ ^ in it", a.Name)
	}
	a.Rows = openpgp.ParseRows(a.outputs(project, in), []byte(out))
	if err := a.Rows.Usable(); err != nil {
		return nil, fmt.Errorf("out_manifest: %w", err)
	}
	return a, nil
}

// outputs returns what the keys of the outputs begin with.
func (a *Assertion) outputs(project, in string) string {
	ids := make([]string, len(a.Commits))
	for i, c := range a.Commits {
		ids[i] = c.ID
	}
	made := strings.Join(ids, "+")
	if made == "" {
		sum := digestOf(strings.Split(in, "\n"))
		made = "inputs-" + hex.EncodeToString(sum[:20])
	}
	return project + "/" + a.Name + "@" + made
}

var (
	gitLine  = regexp.MustCompile(`^git:([0-9a-f]{40}|[0-9a-f]{64})[ \t]+(\S.*)$`)
	fileLine = regexp.MustCompile(`^([0-9a-f]{64})[ \t]+\*?(\S.*)$`)
)

// readInputs reads in_manifest, and returns its lines as Inputs has them: one that
// is neither a file nor a source as it stands.
func (a *Assertion) readInputs(in string) (lines []string) {
	for line := range strings.Lines(in) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if m := gitLine.FindStringSubmatch(line); m != nil {
			a.Commits = append(a.Commits, Commit{Repository: m[2], ID: m[1]})
			lines = append(lines, "git/"+m[2]+" "+m[1])
		} else if m := fileLine.FindStringSubmatch(line); m != nil {
			lines = append(lines, "in/"+m[2]+" "+m[1])
		} else {
			lines = append(lines, line)
		}
	}
	slices.SortFunc(a.Commits, func(x, y Commit) int { return cmp.Or(cmp.Compare(x.Repository, y.Repository), cmp.Compare(x.ID, y.ID)) })
	return lines
}

// baseLines returns the lines of base_manifests as Inputs has them.
func baseLines(node *yaml.Node) (lines []string, err error) {
	if node == nil || node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil, nil
	}
	systems, err := pairs(node)
	if err != nil {
		return nil, fmt.Errorf("base_manifests: %w", err)
	}
	for system, packages := range systems {
		if packages.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: the manifest of %.40q is not a text", packages.Line, system)
		}
		for line := range strings.Lines(packages.Value) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			digest, name, _ := strings.Cut(line, " ")
			lines = append(lines, "base/"+system+"/"+strings.TrimSpace(name)+" "+digest)
		}
	}
	return lines, nil
}

// digestOf returns the SHA-256 over the sorted lines, each once.
func digestOf(lines []string) attestation.Digest {
	slices.Sort(lines)
	h := sha256.New()
	for _, line := range slices.Compact(lines) {
		fmt.Fprintln(h, line)
	}
	return attestation.Digest(h.Sum(nil))
}

// members returns the members of the assertion by their names.
func members(text []byte) (map[string]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	if decoder.Decode(&more) == nil {
		return nil, errors.New("it is more than one document of YAML")
	}
	if err := plain(&document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	return pairs(document.Content[0])
}

// plain refuses what one text can mean another by.
func plain(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("line %d: anchors and aliases are not accepted", n.Line)
	}
	for _, c := range n.Content {
		if err := plain(c); err != nil {
			return err
		}
	}
	return nil
}

// pairs returns what a mapping has, or a sequence of mappings of one member each.
func pairs(n *yaml.Node) (map[string]*yaml.Node, error) {
	content := n.Content
	switch n.Kind {
	case yaml.MappingNode:
	case yaml.SequenceNode:
		content = nil
		for _, c := range n.Content {
			if c.Kind != yaml.MappingNode || len(c.Content) != 2 {
				return nil, fmt.Errorf("line %d: not one member", c.Line)
			}
			content = append(content, c.Content...)
		}
	default:
		return nil, fmt.Errorf("line %d: neither members nor a sequence of them", n.Line)
	}
	found := map[string]*yaml.Node{}
	for i := 0; i+1 < len(content); i += 2 {
		name := content[i]
		if name.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a member's name is not a text", name.Line)
		}
		if _, twice := found[name.Value]; twice {
			return nil, fmt.Errorf("line %d: member %.40q occurs twice", name.Line, name.Value)
		}
		found[name.Value] = content[i+1]
	}
	return found, nil
}
