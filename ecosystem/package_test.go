package ecosystem_test

import (
	"slices"
	"strings"
	"testing"

	"repronet.dev/ecosystem"
)

// TestPackage takes packages out of names that the ecosystems' tools write.
func TestPackage(t *testing.T) {
	const store, guix = "/nix/store/0c7c96gikmzv87i7lv3vq5s1cmfjd6zf-", "/gnu/store/0c7c96gikmzv87i7lv3vq5s1cmfjd6zf-"
	for _, c := range []struct {
		in, build, key        string
		name, version, system string
	}{
		{"nix", store + "hello-2.12.1.drv", store + "hello-2.12.1", "hello", "2.12.1", ""},
		{"nix", store + "openssl-3.5.4.drv", store + "openssl-3.5.4-oddly-named", "openssl", "3.5.4", ""},
		{"nix", "", store + "openssl-3.5.4-man", "openssl", "3.5.4", ""},
		{"nix", "", store + "hello-2.12.1.drv^out", "hello", "2.12.1", ""},
		{"nix", store + "python3.13-numpy-2.3.4.drv", store + "python3.13-numpy-2.3.4", "python3.13-numpy", "2.3.4", ""},
		{"nix", store + "config.json.drv", store + "config.json", "config.json", "", ""},
		{"nix", "", "not a store path", "not a store path", "", ""},
		{"guix", guix + "hello-2.12.1.drv", guix + "hello-2.12.1", "hello", "2.12.1", ""},
		{"debian", "bash@5.2.15-2+b7/amd64", "bash@5.2.15-2+b7/amd64^bash_5.2.15-2+b7_amd64.deb", "bash", "5.2.15-2+b7", "amd64"},
		{"debian", "", "vim@2:9.0.1378-2/amd64^vim-tiny_9.0.1378-2_amd64.deb", "vim", "2:9.0.1378-2", "amd64"},
		{"arch", "", "dbus@1:1.14.10-2/x86_64^dbus-1:1.14.10-2-x86_64.pkg.tar.zst", "dbus", "1:1.14.10-2", "x86_64"},
		{"go", "golang.org/x/tools/gopls@v0.16.0/linux-amd64", "golang.org/x/tools/gopls@v0.16.0/linux-amd64^gopls", "golang.org/x/tools/gopls", "v0.16.0", "linux-amd64"},
		{"release", "", "bitcoin/bitcoin-27.0-x86_64-linux-gnu.tar.gz", "bitcoin", "27.0", ""},
		{"release", "tails/x", "tails/tails-amd64-6.0/tails-amd64-6.0.img", "tails", "6.0", ""},
		{"generic", "alice/tool-1.2", "alice/tool-1.2^tool", "alice/tool", "1.2", ""},
		{"generic", "", "alice/tool", "alice/tool", "", ""},
		{"unheard-of", "", "1.2^out", "1.2^out", "1.2", ""},
		{"go", "", "@v1^x", "@v1^x", "v1", ""},
		{"nix", "", "", "", "", ""},
	} {
		got := ecosystem.Of(c.in).Package(c.build, c.key)
		if want := (ecosystem.Package{Name: c.name, Version: c.version, System: c.system}); got != want {
			t.Errorf("%s %q %q: %+v, want %+v", c.in, c.build, c.key, got, want)
		}
	}
	for purl, want := range map[string]string{
		"pkg:nix/hello@2.12.1": "hello", "pkg:deb/debian/bash": "bash", "pkg:golang/golang.org/x/tools/gopls": "golang.org/x/tools/gopls",
		"pkg:generic/bitcoin": "bitcoin", "pkg:generic/bitcoin/bitcoin-27.0": "bitcoin",
	} {
		p, err := ecosystem.ParsePURL(purl)
		if err != nil || p.Package() != want {
			t.Errorf("%s is of %q, %v; want %q", purl, p.Package(), err, want)
		}
	}
}

// TestCompareVersions sorts versions as the ecosystems do, from the oldest to the newest.
func TestCompareVersions(t *testing.T) {
	for _, sorted := range [][]string{
		{"1.0~rc1", "1.0pre1", "1.0", "1.0.1", "1.0.2", "1.0.10", "1.1"},
		{"", "0", "1"},
		{"2.3a", "2.3.1"}, // of the manual of builtins.compareVersions
		{"2.3pre1", "2.3", "2.3q", "2.3.1"},
		{"9.0.1378-2", "1:0.1", "2:9.0.1378-2"},
		{"v0.9.0", "v0.16.0"},
		{"20241231", "20250101"},
		{strings.Repeat("9", 40), "1" + strings.Repeat("0", 40)},
		{"1.0", "1.00"}, // the same to Nix: told by the text
	} {
		for i, a := range sorted {
			for j, b := range sorted {
				if got := ecosystem.CompareVersions(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
					t.Errorf("%q and %q: %d", a, b, got)
				}
			}
		}
	}
	// Hostile versions are ordered as well, and in the same way from everywhere.
	odd := []string{"~", "~~", ":", "1:", ":1", "-", ".", "1.~", "pre", "\x00", "1..2", "é", "1-é"}
	slices.SortFunc(odd, ecosystem.CompareVersions)
	again := slices.Clone(odd)
	slices.Reverse(again)
	slices.SortFunc(again, ecosystem.CompareVersions)
	if !slices.Equal(odd, again) {
		t.Errorf("%q, and backwards %q", odd, again)
	}
}
