package ecosystem

// A build of Debian is "<source>@<version>/<architecture>" with the version as
// debian/changelog has it, epoch and all: "bash@5.2.15-2+b7/amd64",
// "vim@2:9.0.1378-2/amd64". Its outputs are the files named in a .buildinfo, which
// leave the epoch out (deb-version(7), deb-buildinfo(5)).
var debianRules = rules{
	show:  showVersioned,
	pack:  versionedPackage,
	place: func(key string) (place, version string) { return placeVersioned(key, withoutDebian) },
	purl:  "deb",
	find:  PURL.versioned,
}
