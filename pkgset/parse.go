package pkgset

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/ecosystem"
)

// A List is what [Parse] found.
type List struct {
	Members []Member // sorted by key
	// Lines counts the lines that members were read from: keys, attributes that
	// nix-eval-jobs evaluated, or paths.
	Lines int
	// Failed counts the attributes that nix-eval-jobs could not evaluate.
	Failed int
	// Skipped are the lines that could not be read.
	Skipped Skipped
	// Lacks says what nix-eval-jobs was not asked for, by the flag that asks.
	Lacks []string
}

// maxPathInfo bounds a document of nix path-info, in bytes, which is read whole.
const maxPathInfo = 256 << 20

// Parse reads members from a list of output keys (store paths, or any
// ecosystem's), one a line, with # for comments; from the JSON lines that
// nix-eval-jobs writes; or from the JSON of nix path-info. Keys listed several
// times become one member. With nix-eval-jobs, a member may also say "fixed": true.
// Lines that cannot be read are skipped and counted.
func Parse(ecosystemName string, r io.Reader) (*List, error) {
	p := parser{of: ecosystem.Of(ecosystemName), members: map[string]*Member{}, outputs: map[string]string{}}
	lines := lineReader{r: bufio.NewReaderSize(r, 64<<10)}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errLong) {
			p.skipped.Add(lines.number, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading package set: %w", err)
		}
		if p.read == 0 && p.skipped.Count == 0 && isPathInfo(line) {
			if err := p.pathInfo(lines.number, line, lines.r); err != nil {
				return nil, fmt.Errorf("reading package set: %w", err)
			}
			break
		}
		if err := p.line(line); err != nil {
			p.skipped.Add(lines.number, err)
		}
		if len(p.members) > MaxMembers {
			return nil, fmt.Errorf("reading package set: more than %d members", MaxMembers)
		}
	}
	return p.finish(), nil
}

type parser struct {
	of      *ecosystem.Ecosystem
	members map[string]*Member // by key
	outputs map[string]string  // <build>^<output> → key
	read    int                // lines
	failed  int
	skipped Skipped
	// jobs counts the lines of nix-eval-jobs, edges and metas those that have
	// what it must be asked for.
	jobs, edges, metas int
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
	m := &Member{Key: key}
	if build, output, ok := p.of.Split(key); ok {
		m.Build, m.Output = build, output
	}
	return p.listed(m)
}

// listed takes a member that a list of outputs names.
func (p *parser) listed(m *Member) error {
	if p.of.IsRecipe(m.Key) {
		return fmt.Errorf("%s is a derivation: list its outputs, or %.100s^out", clip(m.Key), m.Key)
	}
	return p.add(m)
}

// add takes the members of a line, or none of them.
func (p *parser) add(members ...*Member) error {
	for _, m := range members {
		if err := m.validate(p.of.Name); err != nil {
			return err
		}
	}
	for _, m := range members {
		if other, twice := p.members[m.Key]; !twice || !less(other, m) {
			p.members[m.Key] = m
		}
	}
	p.read++
	return nil
}

// isPathInfo tells the beginning of a document of nix path-info from a line of
// nix-eval-jobs.
func isPathInfo(line string) bool {
	if strings.HasPrefix(line, "[") || line == "{" {
		return true
	}
	object := jsontext.NewDecoder(strings.NewReader(line))
	if begin, err := object.ReadToken(); err != nil || begin.Kind() != '{' {
		return false
	}
	name, err := object.ReadToken()
	return err == nil && (slices.Contains([]string{"info", "storeDir", "version"}, name.String()) || strings.HasPrefix(name.String(), "/"))
}

// pathInfo reads the document that begins in a line. Paths that are named by their
// own content are fixed; a derivation is no output.
func (p *parser) pathInfo(number int, line string, rest io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(io.MultiReader(strings.NewReader(line+"\n"), rest), maxPathInfo+1))
	if err != nil {
		return err
	}
	if len(text) > maxPathInfo {
		return fmt.Errorf("the JSON of nix path-info is larger than %d bytes", maxPathInfo)
	}
	infos, skipped, err := ParsePathInfo(text)
	if err != nil {
		return err
	}
	skipped.Line += number - 1
	p.skipped = skipped
	for _, info := range infos {
		if err := p.listed(&Member{Key: info.Path, Fixed: info.Addressed}); err != nil {
			p.skipped.Add(info.Line+number-1, err)
		}
	}
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
	Outputs   map[string]*string        `json:"outputs"`   // null: not known before it is built
	InputDrvs map[string]jsontext.Value `json:"inputDrvs"` // nil without --show-input-drvs
	Fixed     bool                      `json:"fixed"`
	Meta      *struct {                 // nil without --meta
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
	inputs, err := j.inputs(p.of)
	if err != nil {
		return err
	}
	version := packageVersion(&j)
	maintainers := j.maintainers()
	var members []*Member
	for _, output := range slices.Sorted(maps.Keys(j.Outputs)) {
		m := &Member{
			Key: p.of.Key(j.DrvPath, output), Build: j.DrvPath, Output: output, Attribute: j.Attr, Version: version,
			System: j.System, Maintainers: maintainers, Inputs: inputs, Fixed: j.Fixed,
		}
		if path := j.Outputs[output]; path != nil {
			m.Key = *path
		}
		members = append(members, m)
	}
	if err := p.add(members...); err != nil {
		return fmt.Errorf("attribute %s: %w", clip(j.Attr), err)
	}
	for _, m := range members {
		p.outputs[p.of.Key(m.Build, m.Output)] = m.Key
	}
	p.jobs++
	if j.InputDrvs != nil {
		p.edges++
	}
	if j.Meta != nil {
		p.metas++
	}
	return nil
}

// inputs returns "<derivation>^<output>" of all inputs. Their outputs are a list,
// or with dynamic derivations a list within an object.
func (j *evalJob) inputs(of *ecosystem.Ecosystem) ([]string, error) {
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
			inputs = append(inputs, of.Key(drv, output))
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
	if j.Meta == nil || json.Unmarshal(j.Meta.Maintainers, &list) != nil {
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
	if j.Meta != nil && json.Unmarshal(j.Meta.Version, &version) == nil && version != "" {
		return version
	}
	_, version = ecosystem.SplitVersion(j.Name)
	return version
}

// finish resolves the inputs that are in the set.
func (p *parser) finish() *List {
	list := &List{Members: make([]Member, 0, len(p.members)), Lines: p.read, Failed: p.failed, Skipped: p.skipped}
	for _, m := range p.members {
		var resolved []string // outputs of one job share their inputs
		for _, input := range m.Inputs {
			if key, ok := p.outputs[input]; ok {
				input = key
			}
			resolved = append(resolved, input)
		}
		slices.Sort(resolved)
		m.Inputs = slices.Compact(resolved)
		list.Members = append(list.Members, *m)
	}
	slices.SortFunc(list.Members, func(a, b Member) int { return strings.Compare(a.Key, b.Key) })
	if p.jobs > 0 && p.edges == 0 {
		list.Lacks = append(list.Lacks, "input edges (--show-input-drvs)")
	}
	if p.jobs > 0 && p.metas == 0 {
		list.Lacks = append(list.Lacks, "maintainers and stated versions (--meta)")
	}
	return list
}

// lineReader reads lines of a bounded length.
type lineReader struct {
	r      *bufio.Reader
	number int // of the line read last, from 1
}

var errLong = fmt.Errorf("longer than %d bytes", maxLine)

// next returns the next line without spaces around it, and without the byte order
// mark that some programs put before the first.
func (l *lineReader) next() (string, error) {
	l.number++
	var line []byte
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long):
			return "", err
		case long:
			return "", errLong
		}
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		return strings.TrimSpace(string(line)), nil
	}
}
