// Package ecosystem says what names mean in each ecosystem: what the name of a
// build is, which key an output of it has, how both are shown, how a package URL
// finds them, and how a build is made again by hand.
//
// Each ecosystem has a file of its own, named after it, and a line in the table
// below; its test is a table of names that the ecosystem's own tools wrote. An
// ecosystem that is not in the table has the common rules, so that a statement of
// it is read by programs that do not know it.
//
// # Model
//
// A build is named by its recipe. An output has a key: "<build>^<output>" as Nix
// writes installables, or "<project>/<file>" where a file is published without
// saying which build made it, or, in an ecosystem with a store, the store path.
// The separator is the first "^" after the last "/", so that versions and file
// names may contain one ("rust-x@1.0^git20240101-1.fc40/x86_64").
//
// # Trust
//
// The package is pure and imports nothing of ours. Names come from strangers: a
// name that is accepted has printable ASCII only, without quotes, backslashes and
// angle brackets, and cannot leave a directory when a program uses it as a path.
// Nothing here says whether a name belongs to its signer. Rules may be widened
// and never narrowed: a ledger's old entries keep their meaning.
//
// Start with [Of].
package ecosystem

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The ecosystems with a file of their own, as statements write them.
const (
	Nix     = "nix"
	Guix    = "guix"
	Debian  = "debian"
	Arch    = "arch"
	Go      = "go"
	Release = "release"
	Generic = "generic"
)

// An Ecosystem is the meaning of names in one ecosystem. It is made by [Of].
type Ecosystem struct {
	// Name is the ecosystem's, as statements write it.
	Name string
	// Store is the directory of the ecosystem's store with a slash at its end,
	// "" where it has none.
	Store string

	rules
}

// rules are what differs between ecosystems; nil stands for the common rule.
type rules struct {
	// build checks the name of a build.
	build func(name string) error
	// file checks the key of an output that names no build.
	file func(key string) error
	// output checks the name of an output within its build.
	output func(name string) error
	// key and split join and part the key of an output.
	key   func(build, output string) string
	split func(key string) (build, output string, found bool)
	// show takes a name apart.
	show func(name string) Shown
	// place takes the version out of an output's key.
	place func(key string) (place, version string)
	// pack tells an output's package, given its build or what its key says of it.
	pack func(build, key string) Package
	// rebuild are the commands that make a build's outputs again.
	rebuild func(e *Ecosystem, build string, outputs []Output) []Command
	// purl is the type of package URLs that name builds of the ecosystem, ""
	// for none; find is the text to search builds for.
	purl string
	find func(PURL) string
}

// table has a line for each ecosystem that is known.
var table = map[string]*Ecosystem{
	Nix:     {Name: Nix, Store: NixStore, rules: nixRules},
	Guix:    {Name: Guix, Store: GuixStore, rules: guixRules},
	Debian:  {Name: Debian, rules: debianRules},
	Arch:    {Name: Arch, rules: archRules},
	Go:      {Name: Go, rules: goRules},
	Release: {Name: Release, rules: releaseRules},
	Generic: {Name: Generic, rules: genericRules},
}

// Of returns the ecosystem of a name. One that is not known has the common rules.
func Of(name string) *Ecosystem {
	if e, ok := table[name]; ok {
		return e
	}
	return &Ecosystem{Name: name}
}

// Known reports whether an ecosystem is in the table.
func Known(name string) bool { return table[name] != nil }

// Names returns the names of the ecosystems with a file of their own, in order.
func Names() []string { return slices.Sorted(maps.Keys(table)) }

// OfKey tells an output's ecosystem from its key: that of the store which the key
// is a path in, else [Generic].
func OfKey(key string) string {
	for name, e := range table {
		if e.Store != "" && strings.HasPrefix(key, e.Store) {
			return name
		}
	}
	return Generic
}

// CheckBuild reports why name cannot be a build's.
func (e *Ecosystem) CheckBuild(name string) error {
	if e.build != nil {
		return e.build(name)
	}
	return commonBuild(name)
}

// CheckOutput reports why key cannot be an output's.
func (e *Ecosystem) CheckOutput(key string) error {
	build, output, found := e.Split(key)
	if !found {
		if e.file != nil {
			return e.file(key)
		}
		return commonFile(key)
	}
	check := commonOutput
	if e.output != nil {
		check = e.output
	}
	if err := check(output); err != nil {
		return err
	}
	if err := e.CheckBuild(build); err != nil {
		return fmt.Errorf("build name %.100q: %w", build, err)
	}
	return nil
}

// Key returns the key of a build's output.
func (e *Ecosystem) Key(build, output string) string {
	if e.key != nil {
		return e.key(build, output)
	}
	return build + "^" + output
}

// Split parts a key into the build and the output that it names. It finds none in
// a store path, nor in the name of a published file.
func (e *Ecosystem) Split(key string) (build, output string, found bool) {
	if e.split != nil {
		return e.split(key)
	}
	return commonSplit(key)
}

// Owned reports whether a name begins with the operator who defines it.
func (e *Ecosystem) Owned() bool { return e.Name == Generic }

// IsRecipe reports whether a path is that of a recipe in the ecosystem's store: a
// derivation. A recipe is no output.
func (e *Ecosystem) IsRecipe(path string) bool {
	return e.Store != "" && strings.HasPrefix(path, e.Store) && strings.HasSuffix(path, drvSuffix)
}

// Common rules.

func commonBuild(name string) error {
	if err := commonName(name, ""); err != nil {
		return err
	}
	if strings.Contains(lastSegment(name), "^") {
		return errors.New(`it contains "^" after its last "/", where the name of an output would follow`)
	}
	return nil
}

func commonFile(key string) error {
	if !strings.Contains(key, "/") {
		return errors.New("an output is named as <build>^<output>, or as <project>/<file>")
	}
	return commonName(key, "")
}

// maxOutput bounds the name of an output within its build, in bytes.
const maxOutput = 255

func commonOutput(name string) error {
	if name == "" || len(name) > maxOutput {
		return fmt.Errorf("%.100q is not an output's name: it has not 1 to %d characters", name, maxOutput)
	}
	for i := range len(name) {
		c := name[i]
		if !isAlphanumeric(c) && c != '_' && (i == 0 || strings.IndexByte("+-._~:^@", c) < 0) {
			return fmt.Errorf("%.100q is not an output's name: it contains %q", name, c)
		}
	}
	return nil
}

func commonSplit(key string) (build, output string, found bool) {
	segment := strings.LastIndexByte(key, '/') + 1
	at := strings.IndexByte(key[segment:], '^')
	if at < 0 {
		return key, "", false
	}
	return key[:segment+at], key[segment+at+1:], true
}

// commonName holds for names of the ecosystems without a store: ASCII without
// spaces, quotes and what HTML or a URL's query gives a meaning to, relative, and
// with no way to leave a directory when a program uses a name as a path. more are
// characters that are allowed besides.
func commonName(name, more string) error {
	if name == "" {
		return errors.New("it is empty")
	}
	const allowed = "/.-_+~@:=,^"
	for _, r := range name {
		if r >= 0x80 || !isAlphanumeric(byte(r)) && !strings.ContainsRune(allowed, r) && !strings.ContainsRune(more, r) {
			return fmt.Errorf("it contains %q; allowed are letters, digits and %s", r, spaced(allowed+more))
		}
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errors.New(`it has an empty, "." or ".." path segment`)
		}
	}
	return nil
}

// spaced writes characters for people to tell apart.
func spaced(characters string) string {
	named := strings.Join(strings.Split(strings.Trim(characters, " "), ""), " ")
	if strings.Contains(characters, " ") {
		named += " and space"
	}
	return named
}

func lastSegment(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
