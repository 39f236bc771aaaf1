package ecosystem

// A build of Arch is "<pkgbase>@<version>-<release>/<architecture>" with the
// version as PKGBUILD has it, epoch and all: "dbus@1:1.14.10-2/x86_64". Its outputs
// are package files, which keep the epoch: "dbus-1:1.14.10-2-x86_64.pkg.tar.zst"
// (PKGBUILD(5)).
var archRules = rules{
	show:  showVersioned,
	pack:  versionedPackage,
	place: versionedPlace,
	purl:  "alpm",
	find:  PURL.versioned,
}
