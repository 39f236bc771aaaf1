package ecosystem

import (
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// A build of Go is "<package path>@<version>", with "/<os>-<architecture>" after it
// where the outputs depend on that: "golang.org/x/tools/gopls@v0.16.0/linux-amd64".
// The path is written as source code imports it, not in the escaped form of module
// proxies.
var goRules = rules{
	show:    showVersioned,
	pack:    versionedPackage,
	place:   versionedPlace,
	rebuild: goCommands,
	purl:    "golang",
	find:    PURL.versioned,
}

// goToolchain is the module of Go's own releases, which cannot be installed: its
// versions are archives that the toolchain's own scripts make.
const goToolchain = "golang.org/toolchain"

func goCommands(e *Ecosystem, build string, outputs []Output) []Command {
	path, rest := cutLast(build, "@")
	version, platform, _ := strings.Cut(rest, "/")
	commands := attestCommand(e, build, outputs)
	if path == goToolchain || module.CheckImportPath(path) != nil || !semver.IsValid(version) {
		return commands
	}
	install := Command{
		Says: "Build the module in an empty directory, without the paths of your machine in it.",
		Line: "CGO_ENABLED=0 GOBIN=\"$(mktemp -d)\" go install -trimpath \x00", Words: []string{path + "@" + version},
	}
	if system, architecture, ok := strings.Cut(platform, "-"); ok {
		install.Line = "GOOS=\x00 GOARCH=\x00 " + install.Line
		install.Words = append([]string{system, architecture}, install.Words...)
	}
	return append([]Command{install}, commands...)
}

// cutLast cuts around the last separator; without one, nothing is after it.
func cutLast(s, separator string) (before, after string) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return s, ""
	}
	return s[:at], s[at+len(separator):]
}
