// Package version says which build of repronet a program is.
//
// Model. The Go toolchain writes into each program what it was built from: the
// version of the main module (a tag such as v0.1.0, or a pseudo-version that names
// the commit), the commit, its time, and whether files had been changed. [Get] reads
// that. Where a program is built without its repository (from an archive, by Nix), the
// linker can say it instead:
//
//	go build -ldflags '-X repronet.dev/internal/version.tag=v0.1.0 -X repronet.dev/internal/version.commit=…'
//
// A time of building is in no program: the same source gives the same bytes.
//
// Trust. A program says this of itself, so it proves nothing; it is for reports of
// mistakes, and for operators who compare what they run.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// What the linker may say where there is no repository to read.
var tag, commit string

// Unknown stands for a version that neither the toolchain nor the linker said.
const Unknown = "unknown"

// Info is what a program was built from, and as what.
type Info struct {
	// Version is a tag ("v0.1.0"), a pseudo-version of a commit between tags, or
	// [Unknown].
	Version string `json:"version"`
	// Commit is the hash of the commit in full; empty if it is not known.
	Commit string `json:"commit,omitempty"`
	// Modified says that files differed from the commit.
	Modified bool `json:"modified"`
	// CommitTime is when the commit was made; zero if that is not known.
	CommitTime time.Time `json:"commitTime,omitzero"`
	// Go is the toolchain ("go1.26.8"), Platform its GOOS/GOARCH.
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get returns what this program was built from.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return read(build, tag, commit)
}

// read takes what the linker said before what the toolchain found.
func read(build *debug.BuildInfo, tag, commit string) Info {
	const noVersion = "(devel)" // what the toolchain says without a repository
	info := Info{
		Go:       cmp.Or(build.GoVersion, runtime.Version()),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if build.Main.Version != noVersion {
		info.Version = build.Main.Version
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		case "vcs.time":
			info.CommitTime, _ = time.Parse(time.RFC3339, s.Value) // the zero time: not known
		}
	}
	if commit != "" && commit != info.Commit {
		info.Commit, info.Modified, info.CommitTime = commit, false, time.Time{}
	}
	info.Version = cmp.Or(tag, info.Version, Unknown)
	return info
}

// String is for people, a line for each thing that is known.
func (i Info) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", i.Version)
	if i.Commit != "" {
		modified := ""
		if i.Modified {
			modified = " (modified)"
		}
		fmt.Fprintf(&text, "  commit    %s%s\n", i.Commit, modified)
	}
	if !i.CommitTime.IsZero() {
		fmt.Fprintf(&text, "  committed %s\n", i.CommitTime.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&text, "  toolchain %s\n  platform  %s\n", i.Go, i.Platform)
	return text.String()
}

// UserAgent is what clients of the network call themselves, as RFC 9110, section
// 10.1.5, has it.
func UserAgent() string { return "repronet/" + strings.TrimPrefix(Get().Version, "v") }
