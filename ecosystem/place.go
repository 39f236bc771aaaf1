package ecosystem

import (
	"regexp"
	"slices"
	"strings"
)

// Place returns what stays of an output's key from one version of a package to the next,
// and the version that was left out, "" where the key tells none. Outputs of one place are
// taken for versions of each other where nothing better is known than their names, such as
// an attribute: "hello" is the place of every /nix/store/…-hello-2.12.1, "hello^man" that of
// its manual. A place is for comparing and for people; it is no name that anything has.
func (e *Ecosystem) Place(key string) (place, version string) {
	if e.place != nil {
		return e.place(key)
	}
	return commonPlace(key)
}

// anyVersion stands in a place for a version within a name. No name contains it.
const anyVersion = "*"

// versionPattern finds a version in the name of a file or build: digits and dots behind a
// separator, with what marks a candidate of a release.
var versionPattern = regexp.MustCompile(`(?:^|[-_@ ])(v?[0-9]+(?:\.[0-9]+)*(?:[-.~+]?(?:rc|alpha|beta|pre)[-.]?[0-9]*)?)`)

// commonPlace looks for a version in the part of the name that people read, and leaves it
// out of the output's name as well.
func commonPlace(key string) (place, version string) {
	name, output, found := commonSplit(key)
	place, version = filePlace(name)
	if found {
		place += "^" + without(output, version)
	}
	return place, version
}

// filePlace is of a name that is no more than a path.
func filePlace(name string) (place, version string) {
	file := lastSegment(name)
	at := versionPattern.FindStringSubmatchIndex(file)
	if at == nil {
		return name, ""
	}
	dir := strings.TrimSuffix(name, file)
	return dir + file[:at[2]] + anyVersion + file[at[3]:], file[at[2]:at[3]]
}

// without leaves a version out of a name. A short one may stand in it for something else.
func without(name, version string) string {
	const short = 3
	if len(version) < short {
		return name
	}
	return strings.ReplaceAll(name, version, anyVersion)
}

// versionedPlace is of "<package>@<version>[/<architecture>]^<output>".
func versionedPlace(key string) (place, version string) {
	return placeVersioned(key, without)
}

// placeVersioned has the version left out of the name of an output by a function.
func placeVersioned(key string, without func(output, version string) string) (place, version string) {
	build, output, found := commonSplit(key)
	at := strings.LastIndexByte(build, '@')
	if at <= 0 {
		return commonPlace(key)
	}
	version, architecture, more := strings.Cut(build[at+1:], "/")
	place = build[:at]
	if more {
		place += "/" + architecture
	}
	if found {
		place += "^" + without(output, version)
	}
	return place, version
}

// withoutDebian: a package file is "<name>_<version>_<architecture>.deb", and none of the
// three contains "_" (deb-src-control(5), dpkg's filenames). Its version leaves the epoch
// out, and may be another than that of the source.
func withoutDebian(output, version string) string {
	if parts := strings.SplitN(output, "_", 3); len(parts) == 3 {
		return parts[0] + "_" + anyVersion + "_" + parts[2]
	}
	_, upstream, epoch := strings.Cut(version, ":")
	if !epoch {
		upstream = version
	}
	return without(output, upstream)
}

// outputEndings are how Nixpkgs and Guix call outputs beside the first, whose names end
// those of their store paths (multiple-outputs.sh of Nixpkgs; the package definitions of
// Guix). An output that is called otherwise is told from the first by its version.
var outputEndings = []string{
	"bin", "data", "debug", "dev", "devdoc", "devman", "dist", "doc", "include", "info", "lib", "man", "static",
}

// storePlace is of a store path's name, without its hash; of <derivation>^<output>, that
// which the path would have.
func storePlace(key string) (place, version string) {
	path, output, found := splitStore(key)
	p, err := ParseStorePath(path)
	if err != nil {
		return commonPlace(key)
	}
	name := p.Name
	if found {
		name = strings.TrimSuffix(name, drvSuffix)
		if output != "out" {
			name += "-" + output
		}
	}
	place, version = SplitVersion(name)
	if place == "" {
		return name, ""
	}
	if at := strings.LastIndexByte(version, '-'); at > 0 && slices.Contains(outputEndings, version[at+1:]) {
		return place + "^" + version[at+1:], version[:at]
	}
	return place, version
}
