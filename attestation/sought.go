package attestation

import (
	"errors"
	"fmt"
	"strings"

	"repronet.dev/ecosystem"
)

// Sought is what a key can mean by which people and programs look something up: a digest,
// or names of outputs and builds, by the IDs that they have in each ecosystem that has such
// names. A package URL names builds.
type Sought struct {
	Digest  *Digest
	PURL    bool
	Outputs []Named
	Builds  []OutputID
}

// Named is a name in an ecosystem.
type Named struct {
	Ecosystem, Name string
	ID              OutputID
}

// Seek reads a key. In which ecosystem a name is, its form tells: a store path is in that
// of the store, any other can be in each of [ecosystem.Names] that takes it. The error says
// why the key can mean nothing.
func Seek(key string) (Sought, error) {
	if in := ecosystem.OfKey(key); in != ecosystem.Generic {
		return seekPath(in, key)
	}
	if digest, err := ParseAnyDigest(key); err == nil {
		return Sought{Digest: &digest}, nil
	}
	if ecosystem.StoreHash(key) == key && key != "" {
		return Sought{}, errors.New("the hash part of a store path is not enough here: give the whole path")
	}
	if strings.HasPrefix(key, "pkg:") {
		return seekPURL(key)
	}
	return seekName(key)
}

func seekPURL(key string) (Sought, error) {
	p, err := ecosystem.ParsePURL(key)
	if err != nil {
		return Sought{}, err
	}
	build, exact := p.Build()
	if !exact {
		return Sought{}, errors.New("the package URL does not name one build, as those of the types deb and alpm do with version and arch, and golang with version")
	}
	if err := ValidateBuild(p.Ecosystem, build); err != nil {
		return Sought{}, err
	}
	return Sought{PURL: true, Builds: []OutputID{NewOutputID(p.Ecosystem, build)}}, nil
}

// seekPath reads a path of an ecosystem's store: of a recipe, of an output, or of a recipe
// with the name of an output behind it.
func seekPath(in, key string) (s Sought, err error) {
	if ecosystem.Of(in).IsRecipe(key) {
		err = ValidateBuild(in, key)
		s.Builds = []OutputID{NewOutputID(in, key)}
	} else {
		err = ValidateOutput(in, key)
		s.Outputs = []Named{{in, key, NewOutputID(in, key)}}
	}
	if err != nil {
		return Sought{}, fmt.Errorf("it is no path of a store: %w", err)
	}
	return s, nil
}

func seekName(key string) (Sought, error) {
	var s Sought
	var refused error
	for _, in := range ecosystem.Names() {
		if ecosystem.Of(in).Store != "" {
			continue
		}
		err := ValidateOutput(in, key)
		if err == nil {
			s.Outputs = append(s.Outputs, Named{in, key, NewOutputID(in, key)})
		}
		if ValidateBuild(in, key) == nil {
			s.Builds = append(s.Builds, NewOutputID(in, key))
		}
		if refused == nil || in == ecosystem.Release { // which takes most names
			refused = err
		}
	}
	if len(s.Outputs)+len(s.Builds) > 0 {
		return s, nil
	}
	return Sought{}, fmt.Errorf("it is neither a digest nor a name: %w", refused)
}
