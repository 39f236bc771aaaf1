package ecosystem_test

import (
	"strings"
	"testing"

	"repronet.dev/ecosystem"
)

// TestPlace: keys of two versions that the ecosystems' own tools wrote have one place, and
// keys of other outputs another.
func TestPlace(t *testing.T) {
	const hash = "00bgd045z0d4icpbc2yyz4gx48ak44la-"
	nix, guix := func(name string) string { return ecosystem.NixStore + hash + name }, func(name string) string { return ecosystem.GuixStore + hash + name }
	for _, test := range []struct{ ecosystem, key, place, version string }{
		{"nix", nix("hello-2.12.1"), "hello", "2.12.1"},
		{"nix", nix("hello-2.12.1-man"), "hello^man", "2.12.1"},
		{"nix", nix("hello-2.12.1.drv^out"), "hello", "2.12.1"},
		{"nix", nix("hello-2.12.1.drv^man"), "hello^man", "2.12.1"},
		{"nix", nix("python3.11-requests-2.31.0"), "python3.11-requests", "2.31.0"},
		{"nix", nix("ncurses-6.4-terminfo"), "ncurses", "6.4-terminfo"},
		{"nix", nix("openssl-3.0.13-unstable-2024-01-02"), "openssl", "3.0.13-unstable-2024-01-02"},
		{"nix", nix("system-path"), "system-path", ""},
		{"nix", nix("etc"), "etc", ""},
		{"nix", nix("lib-man"), "lib-man", ""},
		{"guix", guix("glibc-2.35-debug"), "glibc^debug", "2.35"},
		{"guix", guix("glibc-2.35"), "glibc", "2.35"},
		{"debian", "bash@5.2.15-2+b7/amd64^bash_5.2.15-2+b7_amd64.deb", "bash/amd64^bash_*_amd64.deb", "5.2.15-2+b7"},
		{"debian", "vim@2:9.0.1378-2/amd64^vim-common_9.0.1378-2_all.deb", "vim/amd64^vim-common_*_all.deb", "2:9.0.1378-2"},
		{"debian", "vim@2:9.0.1378-2/amd64^vim-9.0.1378-2.log", "vim/amd64^vim-*.log", "2:9.0.1378-2"},
		{"arch", "dbus@1:1.14.10-2/x86_64^dbus-1:1.14.10-2-x86_64.pkg.tar.zst", "dbus/x86_64^dbus-*-x86_64.pkg.tar.zst", "1:1.14.10-2"},
		{"go", "golang.org/x/tools/gopls@v0.16.0/linux-amd64^gopls", "golang.org/x/tools/gopls/linux-amd64^gopls", "v0.16.0"},
		{"go", "golang.org/toolchain@v0.0.1-go1.22.0.linux-amd64^v0.0.1-go1.22.0.linux-amd64.zip", "golang.org/toolchain^*.zip", "v0.0.1-go1.22.0.linux-amd64"},
		{"release", "bitcoin-core/bitcoin-27.0-x86_64-linux-gnu.tar.gz", "bitcoin-core/bitcoin-*-x86_64-linux-gnu.tar.gz", "27.0"},
		{"release", "bitcoin-core/bitcoin-27.1rc1-win64-setup.exe", "bitcoin-core/bitcoin-*-win64-setup.exe", "27.1rc1"},
		{"release", "monero/linux-x64.tar.bz2", "monero/linux-x64.tar.bz2", ""},
		{"generic", "alice/hello-1.0^bin", "alice/hello-*^bin", "1.0"},
		{"generic", "alice/hello-1.0^hello-1.0.tar.gz", "alice/hello-*^hello-*.tar.gz", "1.0"},
		{"generic", "alice/hello^bin", "alice/hello^bin", ""},
		{"unheard-of", "project/tool@v3.2", "project/tool@*", "v3.2"},
	} {
		if place, version := ecosystem.Of(test.ecosystem).Place(test.key); place != test.place || version != test.version {
			t.Errorf("%s %s: place %q, version %q; want %q, %q", test.ecosystem, test.key, place, version, test.place, test.version)
		}
	}
}

// FuzzPlace: whatever a key is, one has a place, and a version is part of the key.
func FuzzPlace(f *testing.F) {
	f.Add("nix", ecosystem.NixStore+"00bgd045z0d4icpbc2yyz4gx48ak44la-hello-2.12.1-man")
	f.Add("debian", "bash@5.2.15-2+b7/amd64^bash_5.2.15-2+b7_amd64.deb")
	f.Add("release", "a/b")
	f.Add("generic", "")
	f.Fuzz(func(t *testing.T, name, key string) {
		e := ecosystem.Of(name)
		place, version := e.Place(key)
		if place == "" && e.CheckOutput(key) == nil || !strings.Contains(key, version) {
			t.Errorf("%s %q: place %q, version %q", name, key, place, version)
		}
	})
}
