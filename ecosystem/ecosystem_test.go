package ecosystem_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/ecosystem"
)

// names checks a table of real names: builds, outputs (each with its build and its
// name, where the key says them), and what is refused.
type names struct {
	builds  []string
	outputs []parted
	refused []string // neither a build's name nor an output's key
}

type parted struct{ key, build, output string }

func (n names) check(t *testing.T, name string) {
	t.Helper()
	e := ecosystem.Of(name)
	for _, build := range n.builds {
		if err := e.CheckBuild(build); err != nil {
			t.Errorf("build %q: %v", build, err)
		}
	}
	for _, o := range n.outputs {
		if err := e.CheckOutput(o.key); err != nil {
			t.Errorf("output %q: %v", o.key, err)
		}
		build, output, found := e.Split(o.key)
		if found != (o.build != "") || found && (build != o.build || output != o.output || e.Key(build, output) != o.key) {
			t.Errorf("output %q is parted into %q and %q (%v), want %q and %q", o.key, build, output, found, o.build, o.output)
		}
		s := e.Show(o.key)
		dash := ""
		if s.Hash != "" {
			dash = "-"
		}
		if whole := s.Dir + s.Hash + dash + s.Label; whole != o.key || s.Label == "" {
			t.Errorf("output %q is shown as %+v", o.key, s)
		}
	}
	for _, bad := range n.refused {
		if e.CheckBuild(bad) == nil {
			t.Errorf("%q is taken for a build", bad)
		}
		if e.CheckOutput(bad) == nil {
			t.Errorf("%q is taken for an output", bad)
		}
	}
}

// hostile names are refused everywhere.
var hostile = []string{
	"", "/etc/passwd", "p/../../etc/passwd", "p/./f", "p//f", "p/", "/", "p/<script>alert(1)</script>", "p/a\x00", "p/a\x1b[2J", "p/a\r\n", "p/a\tb",
	`p/a"b`, `p\f/x`, "p/`id`", "p/$(id)", "p/a|b", "p/a?b", "p/a*", "p/\u0430", "p/a\u202e", "p/a\u2028", "p/\xff", "p/ a", "p/a ",
}

func TestHostileNames(t *testing.T) {
	for _, e := range []string{"nix", "guix", "debian", "arch", "go", "release", "generic", "fedora", "Nix", ""} {
		names{refused: hostile}.check(t, e)
	}
}

// TestUnknown: an ecosystem without a file has the common rules. Fedora's versions
// and file names contain a caret where upstream's snapshot follows a release
// (docs.fedoraproject.org, "Versioning Guidelines").
func TestUnknown(t *testing.T) {
	names{
		builds: []string{
			"steam-devices@1.0.0.101^git20240522.e2971e4-2.el10_1/noarch", "libsigrok@0.5.2^20240117gitfoo-1.fc40/x86_64", "bash@5.2.26-3.fc40/x86_64",
			"python3.12@3.12.0~rc1-1.fc39/aarch64", "pypi/requests@2.32.3", "sdist",
		},
		outputs: []parted{
			{
				"steam-devices@1.0.0.101^git20240522.e2971e4-2.el10_1/noarch^steam-devices-1.0.0.101^git20240522.e2971e4-2.el10_1.noarch.rpm",
				"steam-devices@1.0.0.101^git20240522.e2971e4-2.el10_1/noarch", "steam-devices-1.0.0.101^git20240522.e2971e4-2.el10_1.noarch.rpm",
			},
			{"sdist^requests-2.32.3.tar.gz", "sdist", "requests-2.32.3.tar.gz"},
			{"fedora/xnnpack-0.0^git20240814.312eb7e-1.fc41.x86_64.rpm", "fedora/xnnpack-0.0", "git20240814.312eb7e-1.fc41.x86_64.rpm"},
			{"fedora/40/bash-5.2.26-3.fc40.x86_64.rpm", "", ""},
		},
		refused: []string{"p/a b^", "a^b^/c d", "fedora/xnnpack-0.0^"},
	}.check(t, "fedora")
	if err := ecosystem.Of("fedora").CheckBuild("fedora/xnnpack-0.0^git20240814"); err == nil || !strings.Contains(err.Error(), "name of an output") {
		t.Errorf("a build whose last part has a caret: %v", err)
	}
	if err := ecosystem.Of("fedora").CheckOutput("bash"); err == nil || !strings.Contains(err.Error(), "<project>/<file>") {
		t.Errorf("an output without a project: %v", err)
	}
}

func TestGeneric(t *testing.T) {
	names{
		builds: []string{"alice/hello-1.0", "bitcoin-core/bitcoin-23.0-aarch64-linux-gnu", "0xb10c/x", strings.Repeat("o", 40) + "/x", "acme/app:1.2,arm64=v8"},
		outputs: []parted{
			{"alice/hello-1.0^bin", "alice/hello-1.0", "bin"},
			{"alice/a/b@1^x86_64-linux.tar.gz", "alice/a/b@1", "x86_64-linux.tar.gz"},
			{"bitcoin-core/bitcoin-23.0-aarch64-linux-gnu.tar.gz", "", ""},
		},
		refused: []string{"tool", "Project/file", "-x/file", "a_b/file", strings.Repeat("o", 41) + "/x", "x.y/file", "alice/hello^"},
	}.check(t, ecosystem.Generic)
	if !ecosystem.Of(ecosystem.Generic).Owned() || ecosystem.Of(ecosystem.Nix).Owned() {
		t.Error("names begin with an operator in generic, and nowhere else")
	}
}

func TestOfKey(t *testing.T) {
	for key, want := range map[string]string{
		"/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo": "nix", "/gnu/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo": "guix",
		"/nix/storefront/x": "generic", "bitcoin-core/x": "generic", "": "generic",
	} {
		if got := ecosystem.OfKey(key); got != want {
			t.Errorf("%s is of %s, want %s", key, got, want)
		}
	}
}

// TestShow: what people read of a name, and what it says of package and version.
func TestShow(t *testing.T) {
	const hash = "00bgd045z0d4icpbc2yyz4gx48ak44la"
	for _, test := range []struct {
		ecosystem, name string
		want            ecosystem.Shown
	}{
		{"nix", "/nix/store/" + hash + "-hello-2.12.1", ecosystem.Shown{Dir: "/nix/store/", Hash: hash, Label: "hello-2.12.1", Package: "hello", Version: "2.12.1"}},
		{"nix", "/nix/store/" + hash + "-x-1.drv^out", ecosystem.Shown{Dir: "/nix/store/", Hash: hash, Label: "x-1.drv^out", Package: "x", Version: "1"}},
		{"nix", "/nix/store/" + hash + "-.gitignore", ecosystem.Shown{Dir: "/nix/store/", Hash: hash, Label: ".gitignore", Package: ".gitignore"}},
		{"guix", "/gnu/store/" + hash + "-a-b", ecosystem.Shown{Dir: "/gnu/store/", Hash: hash, Label: "a-b", Package: "a-b"}},
		{"nix", "/nix/store/x", ecosystem.Shown{Dir: "/nix/store/", Label: "x"}},
		{"debian", "vim@2:9.0.1378-2/amd64", ecosystem.Shown{Label: "vim@2:9.0.1378-2/amd64", Package: "vim", Version: "2:9.0.1378-2"}},
		{"debian", "hello@2.10-3/amd64^hello_2.10-3_amd64.deb", ecosystem.Shown{Dir: "hello@2.10-3/amd64^", Label: "hello_2.10-3_amd64.deb", Package: "hello", Version: "2.10-3"}},
		{"go", "golang.org/x/tools/gopls@v0.16.0/linux-amd64", ecosystem.Shown{Dir: "golang.org/x/tools/", Label: "gopls@v0.16.0/linux-amd64", Package: "golang.org/x/tools/gopls", Version: "v0.16.0"}},
		{"release", "bitcoin-core/bitcoin-23.0.tar.gz", ecosystem.Shown{Dir: "bitcoin-core/", Label: "bitcoin-23.0.tar.gz"}},
		{"generic", "alice/hello^bin", ecosystem.Shown{Dir: "alice/", Label: "hello^bin"}},
		{"generic", "hello/", ecosystem.Shown{Label: "hello/"}},
	} {
		if diff := cmp.Diff(test.want, ecosystem.Of(test.ecosystem).Show(test.name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestRebuild: a command makes the outputs that it is shown for, under their keys,
// or there is none.
func TestRebuild(t *testing.T) {
	const drv = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo.drv"
	out := func(name, key string) []ecosystem.Output { return []ecosystem.Output{{Name: name, Key: key}} }
	exec := func(e, build string, outputs ...string) string {
		line := "repronet-reporter exec --ecosystem " + e + " --build " + build
		for _, o := range outputs {
			line += " \\\n    --output " + o + "=PATH"
		}
		return line + " \\\n    -- YOUR BUILD COMMAND"
	}
	const install = `CGO_ENABLED=0 GOBIN="$(mktemp -d)" go install -trimpath `
	for _, test := range []struct {
		name, ecosystem, build string
		outputs                []ecosystem.Output
		want                   []string
	}{
		{"derivation", "nix", drv, nil, []string{"nix-build " + drv + " --check -K"}},
		{"store path without a derivation", "nix", strings.TrimSuffix(drv, ".drv"), out("", strings.TrimSuffix(drv, ".drv")), nil},
		{"another store's", "nix", strings.Replace(drv, "nix", "gnu", 1), nil, nil},
		{"Guix", "guix", strings.Replace(drv, "nix", "gnu", 1), nil, []string{"guix build " + strings.Replace(drv, "nix", "gnu", 1) + " --check --keep-failed"}},
		{"Guix without a derivation", "guix", "/gnu/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo", nil, nil},
		{"Debian", "debian", "hello@2.10-3/amd64", out("hello_2.10-3_amd64.deb", "hello@2.10-3/amd64^hello_2.10-3_amd64.deb"), []string{exec("debian", "hello@2.10-3/amd64", "hello_2.10-3_amd64.deb")}},
		{"Go", "go", "example.org/tool@v1.2.3", out("tool", "example.org/tool@v1.2.3^tool"), []string{install + "example.org/tool@v1.2.3", exec("go", "example.org/tool@v1.2.3", "tool")}},
		{"Go, platform", "go", "golang.org/x/tools/gopls@v0.16.0/linux-amd64", nil, []string{"GOOS=linux GOARCH=amd64 " + install + "golang.org/x/tools/gopls@v0.16.0"}},
		{"Go's toolchain", "go", "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", nil, nil},
		{"no version of Go's", "go", "example.org/tool@v1.2.3^tool", out("", "example.org/tool@v1.2.3^tool"), nil},
		{"no Go package", "go", "std", nil, nil},
		{"file of a release", "release", "bitcoin-core/bitcoin-23.0.zip", out("", "bitcoin-core/bitcoin-23.0.zip"), []string{exec("release", "bitcoin-core", "bitcoin-23.0.zip")}},
		{"a name with the sign that ends names", "release", "me", out("a=b.zip", "me/a=b.zip"), nil},
		{"release", "release", "bitcoin-core", out("bitcoin-23.0.zip", "bitcoin-core/bitcoin-23.0.zip"), []string{exec("release", "bitcoin-core", "bitcoin-23.0.zip")}},
		{"generic", "generic", "me/x", append(out("a", "me/x^a"), out("b", "me/x^b")...), []string{exec("generic", "me/x", "a", "b")}},
		{"generic file", "generic", "me/x.zip", out("", "me/x.zip"), nil},
		{"another build's output", "generic", "me/x", out("a", "me/y^a"), nil},
		{"many outputs", "generic", "me/x", append(append(out("a", "me/x^a"), out("b", "me/x^b")...), append(out("c", "me/x^c"), out("d", "me/x^d")...)...), []string{exec("generic", "me/x", "a", "b", "c")}},
		{"unknown ecosystem", "pypi", "x@1", out("whl", "x@1^whl"), []string{exec("pypi", "x@1", "whl")}},
		{"no name", "generic", "", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range ecosystem.Of(test.ecosystem).Rebuild(test.build, test.outputs) {
				line := c.Line
				for _, word := range c.Words {
					line = strings.Replace(line, "\x00", word, 1)
				}
				if strings.Contains(line, "\x00") || c.Says == "" {
					t.Errorf("%+q", c)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPURL(t *testing.T) {
	for _, test := range []struct{ purl, ecosystem, text string }{
		{"pkg:nix/hello@2.12.1", "nix", "hello-2.12.1"},
		{"pkg:nix/openssl", "nix", "openssl"},
		{"pkg:guix/hello@2.12.1", "guix", "hello-2.12.1"},
		{"pkg:deb/debian/vim@2%3A9.0.1378-2?arch=amd64&distro=bookworm", "debian", "vim@2:9.0.1378-2/amd64"},
		{"pkg:deb/debian/hello", "debian", "hello@"},
		{"pkg:alpm/arch/dbus@1:1.14.10-2?arch=x86_64", "arch", "dbus@1:1.14.10-2/x86_64"},
		{"pkg:golang/golang.org/x/tools/gopls@v0.16.0", "go", "golang.org/x/tools/gopls@v0.16.0"},
		{"pkg:golang/github.com/BurntSushi/toml@v1.4.0#cmd/tomlv", "go", "github.com/BurntSushi/toml@v1.4.0"},
		{"pkg:generic/bitcoin-core/bitcoin@23.0", "release", "bitcoin-core/bitcoin-23.0"},
		{"pkg:NIX//hello@1", "nix", "hello-1"},
	} {
		p, err := ecosystem.ParsePURL(test.purl)
		if err != nil || p.Ecosystem != test.ecosystem || p.Text() != test.text {
			t.Errorf("%s: %q in %s (%v), want %q in %s", test.purl, p.Text(), p.Ecosystem, err, test.text, test.ecosystem)
		}
	}
	for purl, want := range map[string]string{
		"": "pkg:", "nix/hello": "pkg:", "pkg:npm/left-pad@1": "no ecosystem", "pkg:nix/": "no name", "pkg:nix": "no name", "pkg:/x": "no name",
		"pkg:nix/%zz": "invalid URL escape", "pkg:nix/" + strings.Repeat("x", 1100): "longer", "pkg:nix/x?%zz=1": "qualifiers",
	} {
		if _, err := ecosystem.ParsePURL(purl); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q: %v, want an error with %q", purl, err, want)
		}
	}
}

// TestPURLNames: a package URL names the builds of its package and version, and no others
// whose names contain its text.
func TestPURLNames(t *testing.T) {
	const drv = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-"
	for _, test := range []struct {
		purl, build, key string
		want             bool
	}{
		{"pkg:nix/hello@2.12.1", drv + "hello-2.12.1.drv", drv + "hello-2.12.1-man", true},
		{"pkg:nix/hello", drv + "hello-2.12.1.drv", drv + "hello-2.12.1", true},
		{"pkg:nix/hello@2.12.1", "", drv + "hello-2.12.1", true},
		{"pkg:nix/hello@2.12.1", "", drv + "hello-2.12.1-man", true},
		{"pkg:nix/hello@2.12", drv + "hello-2.12.1.drv", drv + "hello-2.12.1", false},
		{"pkg:nix/hello@2.12.1", drv + "othello-2.12.1.drv", drv + "othello-2.12.1", false},
		{"pkg:deb/debian/bash@5.2.15-2?arch=amd64", "bash@5.2.15-2/amd64", "bash@5.2.15-2/amd64^bash_5.2.15-2_amd64.deb", true},
		{"pkg:deb/debian/bash@5.2.15-2?arch=amd64", "", "bash@5.2.15-2/amd64^bash_5.2.15-2_amd64.deb", true},
		{"pkg:deb/debian/bash@5.2.15-2?arch=arm64", "bash@5.2.15-2/amd64", "bash@5.2.15-2/amd64^bash_5.2.15-2_amd64.deb", false},
		{"pkg:deb/debian/bash@5.2.15-2", "rebash@5.2.15-2/amd64", "rebash@5.2.15-2/amd64^x", false},
		{"pkg:golang/golang.org/x/tools/gopls@v0.16.0", "golang.org/x/tools/gopls@v0.16.0/linux-amd64", "golang.org/x/tools/gopls@v0.16.0/linux-amd64^gopls", true},
		{"pkg:golang/x/tools/gopls@v0.16.0", "golang.org/x/tools/gopls@v0.16.0", "golang.org/x/tools/gopls@v0.16.0^gopls", false},
		{"pkg:generic/bitcoin-core/bitcoin@23.0", "", "bitcoin-core/bitcoin-23.0.tar.gz", true},
		{"pkg:generic/bitcoin-core/bitcoin@23.0", "", "bitcoin-core/bitcoin-24.0.tar.gz", false},
	} {
		p, err := ecosystem.ParsePURL(test.purl)
		if got := p.Names(test.build, test.key); err != nil || got != test.want {
			t.Errorf("%s names %s of %q: %t, %v", test.purl, test.key, test.build, got, err)
		}
	}
	for purl, want := range map[string]string{
		"pkg:deb/debian/bash@5.2.15-2?arch=amd64": "bash@5.2.15-2/amd64", "pkg:alpm/arch/dbus@1:1.14.10-2?arch=x86_64": "dbus@1:1.14.10-2/x86_64",
		"pkg:golang/golang.org/x/tools/gopls@v0.16.0": "golang.org/x/tools/gopls@v0.16.0",
		"pkg:deb/debian/bash@5.2.15-2":                "", "pkg:nix/hello@2.12.1": "", "pkg:golang/a/b": "", "pkg:generic/a/b@1": "",
	} {
		p, err := ecosystem.ParsePURL(purl)
		if got, exact := p.Build(); err != nil || got != want || exact != (want != "") {
			t.Errorf("%s names the build %q, %t, %v", purl, got, exact, err)
		}
	}
}

// FuzzNames holds for every ecosystem: what is accepted can neither leave a
// directory nor mean something to a page, and a key is put together from its parts.
func FuzzNames(f *testing.F) {
	f.Add("nix", "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo.drv^out")
	f.Add("release", "bitcoin-core/Bitcoin Core (x64).msi")
	f.Add("fedora", "a@1^git/x86_64^a-1^git.rpm")
	for _, name := range hostile {
		f.Add("generic", name)
	}
	f.Fuzz(func(t *testing.T, name, key string) {
		e := ecosystem.Of(name)
		for what, err := range map[string]error{"build": e.CheckBuild(key), "output": e.CheckOutput(key)} {
			if err != nil {
				continue
			}
			path := key
			if e.Store != "" {
				path = strings.TrimPrefix(key, "/")
			}
			for segment := range strings.SplitSeq(path, "/") {
				if segment == "" || segment == "." || segment == ".." {
					t.Errorf("%s %q has the segment %q", what, key, segment)
				}
			}
			for _, r := range key {
				if r < ' ' || r > '~' || strings.ContainsRune("\"<>\\`|*$", r) || r == '?' && e.Store == "" {
					t.Errorf("%s %q has %q", what, key, r)
				}
			}
		}
		if build, output, found := e.Split(key); found && e.Key(build, output) != key {
			t.Errorf("%q is parted into %q and %q", key, build, output)
		}
		if err := e.CheckOutput(key); err == nil {
			_ = fmt.Sprint(e.Rebuild(key, []ecosystem.Output{{Key: key}}), e.Show(key))
		}
	})
}
