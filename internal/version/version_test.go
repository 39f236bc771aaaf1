package version

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	const hash, other = "d2bef0e14b40d2bef0e14b40d2bef0e14b40aaaa", "ffffffffffffffffffffffffffffffffffffffff"
	platform := runtime.GOOS + "/" + runtime.GOARCH
	stamped := func(version, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs", Value: "git"},
			{Key: "vcs.revision", Value: hash},
			{Key: "vcs.time", Value: "2026-11-29T11:51:00Z"},
			{Key: "vcs.modified", Value: modified},
		}}
	}
	committed := time.Date(2026, 11, 29, 11, 51, 0, 0, time.UTC)
	for _, test := range []struct {
		name        string
		build       *debug.BuildInfo
		tag, commit string
		want        Info
		text        string
	}{
		{
			"a tag", stamped("v0.1.0", "false"), "", "",
			Info{"v0.1.0", hash, false, committed, "go1.99", platform},
			"v0.1.0\n  commit    " + hash + "\n  committed 2026-11-29T11:51:00Z\n  toolchain go1.99\n  platform  " + platform + "\n",
		},
		{
			"changed files", stamped("v0.1.1-0.20261129115100-d2bef0e14b40+dirty", "true"), "", "",
			Info{"v0.1.1-0.20261129115100-d2bef0e14b40+dirty", hash, true, committed, "go1.99", platform},
			"v0.1.1-0.20261129115100-d2bef0e14b40+dirty\n  commit    " + hash + " (modified)\n  committed 2026-11-29T11:51:00Z\n  toolchain go1.99\n  platform  " + platform + "\n",
		},
		{
			"without a repository", &debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: "(devel)"}}, "", "",
			Info{"unknown", "", false, time.Time{}, "go1.99", platform},
			"unknown\n  toolchain go1.99\n  platform  " + platform + "\n",
		},
		{
			"the linker", &debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: "(devel)"}}, "v0.1.0", hash,
			Info{"v0.1.0", hash, false, time.Time{}, "go1.99", platform},
			"v0.1.0\n  commit    " + hash + "\n  toolchain go1.99\n  platform  " + platform + "\n",
		},
		{
			"the linker names another commit", stamped("v0.1.0", "true"), "", other,
			Info{"v0.1.0", other, false, time.Time{}, "go1.99", platform},
			"v0.1.0\n  commit    " + other + "\n  toolchain go1.99\n  platform  " + platform + "\n",
		},
		{
			"the linker names the same commit", stamped("v0.1.0", "true"), "v0.2.0", hash,
			Info{"v0.2.0", hash, true, committed, "go1.99", platform},
			"v0.2.0\n  commit    " + hash + " (modified)\n  committed 2026-11-29T11:51:00Z\n  toolchain go1.99\n  platform  " + platform + "\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := read(test.build, test.tag, test.commit)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.text, got.String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserAgent(t *testing.T) {
	tag = "v1.2.3"
	defer func() { tag = "" }()
	if got := UserAgent(); got != "repronet/1.2.3" {
		t.Errorf("a client calls itself %q", got)
	}
}
