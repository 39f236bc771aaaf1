package ecosystem

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A PURL is a package URL (https://github.com/package-url/purl-spec): how SBOMs and
// tools that propose updates name a package. It names no build of a store, whose
// hash it lacks, but says what to search for.
type PURL struct {
	Type      string
	Namespace string // "" for none; with slashes where it has several parts
	Name      string
	Version   string // "" for none
	Arch      string // the qualifier of that name, "" for none
	// Ecosystem is the one whose builds the type names.
	Ecosystem string
}

// maxPURL bounds a package URL, in bytes.
const maxPURL = 1024

// ParsePURL reads a package URL of a type that an ecosystem has.
func ParsePURL(text string) (PURL, error) {
	p, err := parsePURL(text)
	if err != nil {
		return PURL{}, fmt.Errorf("package URL %.100q: %w", text, err)
	}
	return p, nil
}

func parsePURL(text string) (PURL, error) {
	rest, ok := strings.CutPrefix(text, "pkg:")
	if !ok || len(text) > maxPURL {
		return PURL{}, fmt.Errorf("it does not begin with pkg:, or is longer than %d bytes", maxPURL)
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, qualifiers, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(qualifiers)
	if err != nil {
		return PURL{}, fmt.Errorf("its qualifiers: %w", err)
	}
	var p PURL
	p.Type, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
	p.Type, p.Arch = strings.ToLower(p.Type), values.Get("arch")
	// An "@" of a name is written %40, so that the last one begins the version.
	path, version := cutLast(rest, "@")
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, s := range append(segments, version) {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return PURL{}, err
		}
		if i < len(segments) {
			segments[i] = decoded
		} else {
			p.Version = decoded
		}
	}
	p.Name, p.Namespace = segments[len(segments)-1], strings.Join(segments[:len(segments)-1], "/")
	if p.Name == "" {
		return PURL{}, errors.New("it has no name")
	}
	for name, e := range table {
		if e.purl != "" && e.purl == p.Type {
			p.Ecosystem = name
			return p, nil
		}
	}
	return PURL{}, fmt.Errorf("no ecosystem has packages of type %.40q", p.Type)
}

// Text returns what the names of the package's builds and outputs contain.
func (p PURL) Text() string { return Of(p.Ecosystem).find(p) }

// Build returns the name of the one build that the package URL names, if it names one
// exactly: in ecosystems whose builds are named by package, version and architecture.
func (p PURL) Build() (name string, exact bool) {
	switch {
	case p.Version == "":
		return "", false
	case p.Ecosystem == Go, (p.Ecosystem == Debian || p.Ecosystem == Arch) && p.Arch != "":
		return p.versioned(), true
	}
	return "", false // a store's builds have a hash, and a file of a release has no build
}

// Names reports whether the package URL names an output, given its build, "" where that is
// not known, and its key.
func (p PURL) Names(build, key string) bool {
	e := Of(p.Ecosystem)
	if build == "" {
		build, _, _ = e.Split(key)
	}
	shown := e.Show(build)
	switch {
	case shown.Package == "": // names of the ecosystem do not say which package they are of
		return strings.Contains(key, p.Text())
	case shown.Package != p.qualified():
		return false
	case e.Store != "": // the path of an output that is not the first ends in the output's name
		return p.Version == "" || shown.Version == p.Version || build == key && strings.HasPrefix(shown.Version, p.Version+"-")
	}
	return (p.Version == "" || shown.Version == p.Version) && (p.Arch == "" || strings.HasSuffix(build, "/"+p.Arch))
}

// dashed is a package's name as store paths have it.
func (p PURL) dashed() string {
	if p.Version == "" {
		return p.Name
	}
	return p.Name + "-" + p.Version
}

// qualified is the package's name as names of builds have it. The namespace is part of it
// in Go; of distributions it says only which one.
func (p PURL) qualified() string {
	if p.Ecosystem == Go && p.Namespace != "" {
		return p.Namespace + "/" + p.Name
	}
	return p.Name
}

// versioned is "<name>@<version>[/<architecture>]".
func (p PURL) versioned() string {
	text := p.qualified()
	if p.Version == "" {
		return text + "@"
	}
	text += "@" + p.Version
	if p.Arch != "" {
		text += "/" + p.Arch
	}
	return text
}

// path is the name of a published file, with its version where that is known.
func (p PURL) path() string {
	text := p.dashed()
	if p.Namespace != "" {
		text = p.Namespace + "/" + text
	}
	return text
}
