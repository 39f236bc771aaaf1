package pkgset

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet/attestation"
)

// A List is what [Parse] found.
type List struct {
	Members []Member // sorted by key
	// Failed counts the attributes that nix-eval-jobs could not evaluate.
	Failed int
}

// Parse reads members from a list of output keys (store paths, or any
// ecosystem's), one a line, with # for comments; or from the JSON lines that
// nix-eval-jobs writes. Keys listed several times become one member. With
// nix-eval-jobs, a member may also say "fixed": true.
func Parse(ecosystem string, r io.Reader) (*List, error) {
	p := parser{ecosystem: ecosystem, members: map[string]*Member{}, outputs: map[string]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("reading package set: line %d: %w", n, err)
		}
		if len(p.members) > MaxMembers {
			return nil, fmt.Errorf("reading package set: more than %d members", MaxMembers)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading package set: %w", err)
	}
	return p.finish()
}

type parser struct {
	ecosystem string
	members   map[string]*Member // by key
	outputs   map[string]string  // <build>^<output> → key
	failed    int
}

func (p *parser) line(line string) error {
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
		return nil
	case strings.HasPrefix(line, "{"):
		return p.job([]byte(line))
	}
	key, _, _ := strings.Cut(line, " #")
	key = strings.TrimSpace(key)
	if strings.HasSuffix(key, ".drv") && (p.ecosystem == "nix" || p.ecosystem == "guix") {
		return fmt.Errorf("%s is a derivation: list its outputs, or %s^out", clip(key), key)
	}
	m := &Member{Key: key}
	if build, output, ok := strings.Cut(key, "^"); ok {
		m.Build, m.Output = build, output
	}
	return p.add(m)
}

func (p *parser) add(m *Member) error {
	if err := m.validate(p.ecosystem); err != nil {
		return err
	}
	if other, twice := p.members[m.Key]; twice && less(other, m) {
		return nil
	}
	p.members[m.Key] = m
	return nil
}

// less chooses among the attributes that lead to one output: the shortest is the
// one that people use.
func less(a, b *Member) bool {
	return cmp.Or(cmp.Compare(len(a.Attribute), len(b.Attribute)), strings.Compare(a.Attribute, b.Attribute),
		strings.Compare(a.Build, b.Build)) <= 0
}

// evalJob is what is used of a line of nix-eval-jobs
// (https://github.com/nix-community/nix-eval-jobs#readme).
type evalJob struct {
	Error     string                    `json:"error"`
	Attr      string                    `json:"attr"`
	DrvPath   string                    `json:"drvPath"`
	Name      string                    `json:"name"`
	System    string                    `json:"system"`
	Outputs   map[string]*string        `json:"outputs"` // null: not known before it is built
	InputDrvs map[string]jsontext.Value `json:"inputDrvs"`
	Fixed     bool                      `json:"fixed"`
	Meta      struct {
		Version     jsontext.Value `json:"version"`
		Maintainers jsontext.Value `json:"maintainers"`
	} `json:"meta"`
}

func (p *parser) job(line []byte) error {
	var j evalJob
	if err := json.Unmarshal(line, &j, json.MatchCaseInsensitiveNames(false)); err != nil {
		return fmt.Errorf("not a line of nix-eval-jobs: %w", err)
	}
	if j.Error != "" {
		p.failed++
		return nil
	}
	if j.DrvPath == "" || len(j.Outputs) == 0 {
		return errors.New("neither an error nor drvPath and outputs: not a line of nix-eval-jobs")
	}
	inputs, err := j.inputs()
	if err != nil {
		return err
	}
	version := packageVersion(&j)
	maintainers := j.maintainers()
	for output, path := range j.Outputs {
		installable := attestation.OutputKey(j.DrvPath, output)
		m := &Member{
			Key: installable, Build: j.DrvPath, Output: output, Attribute: j.Attr, Version: version,
			System: j.System, Maintainers: maintainers, Inputs: inputs, Fixed: j.Fixed,
		}
		if path != nil {
			m.Key = *path
		}
		if err := p.add(m); err != nil {
			return fmt.Errorf("attribute %s: %w", clip(j.Attr), err)
		}
		p.outputs[installable] = m.Key
	}
	return nil
}

// inputs returns "<derivation>^<output>" of all inputs. Their outputs are a list,
// or with dynamic derivations a list within an object.
func (j *evalJob) inputs() ([]string, error) {
	var inputs []string
	for drv, value := range j.InputDrvs {
		var outputs []string
		if value.Kind() == '{' {
			var object struct {
				Outputs []string `json:"outputs"`
			}
			if err := json.Unmarshal(value, &object); err != nil {
				return nil, fmt.Errorf("inputDrvs: %w", err)
			}
			outputs = object.Outputs
		} else if err := json.Unmarshal(value, &outputs); err != nil {
			return nil, fmt.Errorf("inputDrvs: %w", err)
		}
		for _, output := range outputs {
			inputs = append(inputs, attestation.OutputKey(drv, output))
		}
	}
	slices.Sort(inputs)
	return slices.Compact(inputs), nil
}

// maintainers prefers names on GitHub, because they are unique. What is not
// written as Nixpkgs writes it is left out: it is for people only.
func (j *evalJob) maintainers() []string {
	var list []struct {
		GitHub string `json:"github"`
		Name   string `json:"name"`
	}
	if err := json.Unmarshal(j.Meta.Maintainers, &list); err != nil {
		return nil
	}
	var names []string
	for _, m := range list {
		name := cmp.Or(m.GitHub, m.Name)
		if name != "" && validateText("maintainer", name, maxText) == nil && len(names) < maxMaintainers {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// packageVersion takes the version that the package states, or what Nix takes
// for it in the name: what follows the first dash that no letter follows.
func packageVersion(j *evalJob) string {
	var version string
	if err := json.Unmarshal(j.Meta.Version, &version); err == nil && version != "" {
		return version
	}
	for i := 0; i+1 < len(j.Name); i++ {
		if c := j.Name[i+1] | 0x20; j.Name[i] == '-' && (c < 'a' || c > 'z') {
			return j.Name[i+1:]
		}
	}
	return ""
}

// finish resolves the inputs that are in the set.
func (p *parser) finish() (*List, error) {
	list := &List{Members: make([]Member, 0, len(p.members)), Failed: p.failed}
	for _, m := range p.members {
		var resolved []string
		for _, input := range m.Inputs {
			if key, ok := p.outputs[input]; ok {
				input = key
			}
			resolved = append(resolved, input)
		}
		slices.Sort(resolved)
		m.Inputs = slices.Compact(resolved)
		if err := m.validate(p.ecosystem); err != nil {
			return nil, fmt.Errorf("reading package set: %s: %w", clip(m.Key), err)
		}
		list.Members = append(list.Members, *m)
	}
	slices.SortFunc(list.Members, func(a, b Member) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}
