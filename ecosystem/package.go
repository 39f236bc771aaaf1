package ecosystem

import (
	"cmp"
	"strings"
)

// A Package is what a name says of the package that an output belongs to.
type Package struct {
	Name    string // without the version; never ""
	Version string // "" where the name tells none
	System  string // what it was built for, such as "amd64"; "" where the name does not say
}

// Package tells of which package an output is, from the name of its build, "" where that is
// not known, and from its key. Of a store path without its build, the names of outputs that
// are usual are told from versions; see [Ecosystem.Place].
func (e *Ecosystem) Package(build, key string) Package {
	if build == "" {
		build, _, _ = e.Split(key)
	}
	of := commonPackage
	if e.pack != nil {
		of = e.pack
	}
	p := of(build, key)
	p.Name = cmp.Or(p.Name, key)
	return p
}

// commonPackage is of a name in which people read a version: what is left without it.
func commonPackage(build, _ string) Package {
	place, version := filePlace(build)
	if version == "" {
		return Package{Name: build}
	}
	before, after, _ := strings.Cut(place, anyVersion)
	return Package{Name: strings.TrimRight(before, "-_@ ") + after, Version: version}
}

// versionedPackage is of "<package>@<version>[/<architecture>]".
func versionedPackage(build, key string) Package {
	at := strings.LastIndexByte(build, '@')
	if at <= 0 {
		return commonPackage(build, key)
	}
	version, system, _ := strings.Cut(build[at+1:], "/")
	return Package{Name: build[:at], Version: version, System: system}
}

// storePackage is of a derivation's name, or of a store path's.
func storePackage(build, key string) Package {
	p, err := ParseStorePath(build)
	name, recipe := strings.CutSuffix(p.Name, drvSuffix)
	if err != nil || !recipe {
		place, version := storePlace(key)
		place, _, _ = strings.Cut(place, "^")
		return Package{Name: place, Version: version}
	}
	pkg, version := SplitVersion(name)
	if pkg == "" {
		return Package{Name: name}
	}
	return Package{Name: pkg, Version: version}
}

// projectPackage is of "<project>/<file>": the package is the project, which a release is of.
func projectPackage(_, key string) Package {
	project, file, _ := strings.Cut(key, "/")
	_, version := filePlace(file)
	return Package{Name: project, Version: version}
}

// Package is the name of the package that a package URL names, as [Ecosystem.Package] says it.
func (p PURL) Package() string {
	if p.Ecosystem == Release && p.Namespace != "" {
		project, _, _ := strings.Cut(p.Namespace, "/")
		return project
	}
	return p.qualified()
}
