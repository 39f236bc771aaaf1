package ecosystem

import "strings"

// Shown is a build's name or an output's key, taken apart for reading. Dir, Hash
// (with the dash that follows it, where there is one) and Label in order are the
// whole name.
type Shown struct {
	Dir   string // "/nix/store/", or what comes before the part that people read
	Hash  string // of a store path
	Label string // what people call it
	// Package and Version are what the label says of them, "" where it does not.
	Package, Version string
}

// Show takes a name of the ecosystem apart.
func (e *Ecosystem) Show(name string) Shown {
	if e.show != nil {
		return e.show(name)
	}
	return commonShow(name)
}

func commonShow(name string) Shown {
	at := strings.LastIndexByte(name, '/') + 1
	if at == len(name) {
		at = 0
	}
	return Shown{Dir: name[:at], Label: name[at:]}
}

// showVersioned takes apart what is named "<package>@<version>[/<architecture>]"
// or "<package>@<version>[/<architecture>]^<output>", where the package may have
// directories before it.
func showVersioned(name string) Shown {
	build, output, found := commonSplit(name)
	at := strings.LastIndexByte(build, '@')
	if at <= 0 {
		return commonShow(name)
	}
	version, _, _ := strings.Cut(build[at+1:], "/")
	s := Shown{Package: build[:at], Version: version}
	dir := strings.LastIndexByte(build[:at], '/') + 1
	s.Dir, s.Label = build[:dir], build[dir:]
	if found {
		s.Dir, s.Label = build+"^", output
	}
	return s
}
