package ecosystem_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/ecosystem"
	"repronet.dev/internal/needtest"
)

// real store names, as Nix made them of Nixpkgs, flakes and people's own sources.
var nixNames = []string{
	"hello-2.12.1", "hello-2.12.1.drv", "hello-2.12.1.tar.gz", "hello-2.12.1-man", "source", ".gitignore", ".config", ".envrc", ".config-1.0", ".", "..x", "...",
	"glibc-2.38-44-dev", "libstdc++5-3.3.6", "gtk+3-3.24.38", "gtk+-2.24.33", "wxGTK32-3.2.4", "c++-env-setup", "dbus-1.14.10-lib", "0ad-0.0.26",
	"perl5.38.2-URI-5.21", "python3.11-typing-extensions-4.8.0", "ghc-9.4.7-doc", "crate-windows_x86_64_msvc-0.48.5.tar.gz",
	"remove-pg-flags.patch?id=7f979fc51ae31d5c695d8481ba84a4afc5080efb", "index.php?title=Foo", "x=1", "download?v=2", "archive.tar.gz?ref=v1.0",
	"0001-Don-t-use-locale-a.patch", "system-units", "unit-dbus.service", "unit-getty-.service", "unit-user-.slice", "nixos-system-nixos-23.11pre-git",
	"etc-ssh-sshd_config", "X-Restart-Triggers", "_", "-", "--", "a-.gitignore", "+", "=", "?", "wrapper.c", "rust_serde-1.0.193", "python3.11-PyQt6-6.6.0", strings.Repeat("a", 211),
	"2022-01-01_00.00.00", "go1.21.5.linux-amd64.tar.gz", "Build.PL", "stdenv-linux", "bootstrap-stage0-glibc-bootstrapFiles", "man-db.conf", "etc-nixos-release", "v1.0.0",
}

var notNixNames = []string{
	"", "..", ".-", ".-x", "..-", "..-x", "a b", "a/b", "a^b", "a:b", "a~b", "a@b", "a,b", "é", "a\nb", "a\x00b", "a%20b", "(a)", "a'b", "a\"b", "a&b", "a#b", "a!b", strings.Repeat("a", 212),
}

const nixHash = "0c7q8xqnp0zbgwp3jlirznfdlp2xrmds"

func TestNix(t *testing.T) {
	path := func(name string) string { return ecosystem.NixStore + nixHash + "-" + name }
	table := names{
		builds: []string{path("hello-2.12.1.drv"), path(".gitignore.drv"), path("a?b=c+1.drv"), path("-.drv"), path("..drv")},
		outputs: []parted{
			{path("x.drv") + "^out", path("x.drv"), "out"},
			{path("x.drv") + "^debug", path("x.drv"), "debug"},
			{path(".x-1.drv") + "^lib_a+b.c?=", path(".x-1.drv"), "lib_a+b.c?="},
		},
		refused: []string{
			path("x") + "^out", path("x.drv") + "^", path("x.drv") + "^out^dev", path("x.drv") + "^../x", path("x.drv") + "^*", path("x.drv") + "^..", path("x") + "/bin/x",
			strings.Replace(path("x"), "0c7q", "0c7e", 1), strings.Replace(path("x"), "0c7q", "0c7O", 1), path("x")[:30], "/gnu/store/" + nixHash + "-x",
			"/nix/store/" + nixHash, "/nix/store/" + nixHash + "x", "/nix/store/" + nixHash[1:] + "-x", "/nix/store/" + nixHash + "0-x", "nix/store/" + nixHash + "-x", "//nix/store/" + nixHash + "-x",
		},
	}
	for _, name := range nixNames {
		if name == "." { // Nix takes it for a directory
			continue
		}
		table.outputs = append(table.outputs, parted{key: path(name)})
	}
	for _, name := range notNixNames {
		table.refused = append(table.refused, path(name))
	}
	table.check(t, ecosystem.Nix)
}

func TestParseStorePath(t *testing.T) {
	p, err := ecosystem.ParseStorePath("/nix/store/" + nixHash + "-.config-1.0")
	if err != nil || p.Store != "/nix/store/" || p.Hash != nixHash || p.Name != ".config-1.0" || p.String() != "/nix/store/"+nixHash+"-.config-1.0" {
		t.Errorf("%+v, %v", p, err)
	}
	for name, want := range map[string]string{
		nixHash + "-x": "/nix/store/" + nixHash + "-x", "/nix/store/" + nixHash + "-x": "/nix/store/" + nixHash + "-x",
		"/gnu/store/" + nixHash + "-x": "", "x": "", "": "", nixHash: "", "store/" + nixHash + "-x": "",
	} {
		p, err := ecosystem.ParseStoreName(name)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("%q: %+v, %v", name, p, err)
		}
	}
	for path, want := range map[string]string{nixHash: nixHash, "/gnu/store/" + nixHash + "-x": nixHash, nixHash + "-x": "", "/nix/store/" + nixHash: "", "": ""} {
		if got := ecosystem.StoreHash(path); got != want {
			t.Errorf("hash of %q is %q, want %q", path, got, want)
		}
	}
	if nix := ecosystem.Of("nix"); !nix.IsRecipe("/nix/store/x.drv") || nix.IsRecipe("/gnu/store/x.drv") || nix.IsRecipe("/nix/store/x") || ecosystem.Of("go").IsRecipe("/nix/store/x.drv") {
		t.Error("recipes")
	}
}

// nix runs a program of Nix on a store of its own.
func nix(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	needtest.Program(t, program, "nix-bin")
	command := exec.CommandContext(t.Context(), program, args...)
	command.Env = append(os.Environ(), "NIX_CONFIG=build-users-group =\nsubstituters =\nexperimental-features = nix-command", "HOME="+t.TempDir())
	out, err := command.Output()
	return strings.TrimSpace(string(out)), err
}

// TestNamesAsNix asks Nix itself which names it takes.
func TestNamesAsNix(t *testing.T) {
	store := "local?root=" + t.TempDir()
	for _, name := range append(append([]string{}, nixNames...), notNixNames...) {
		if strings.ContainsAny(name, "\x00\n") { // cannot be written, or says nothing
			continue
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(name) + `"`
		out, err := nix(t, "nix-instantiate", "--store", store, "--eval", "-E", "builtins.toFile "+quoted+" \"\"")
		path := strings.Trim(out, `"`)
		if takes := ecosystem.Of("nix").CheckOutput("/nix/store/"+nixHash+"-"+name) == nil; takes != (err == nil) {
			// 2.8 takes what 2.20 and later refuse: a first part of one or two dots.
			if first, _, _ := strings.Cut(name, "-"); err == nil && (first == "." || first == "..") {
				continue
			}
			t.Errorf("%q: taken by Nix: %v, here: %v", name, err == nil, takes)
		}
		if err == nil && !strings.HasSuffix(path, "-"+name) {
			t.Errorf("Nix made %s of %q", path, name)
		}
	}
}

// addresses of store objects, as Nix 2.8.0 wrote them (nix path-info --json).
var addresses = []struct {
	path, nar, ca string
	references    []string
	byName        bool
}{
	{"/nix/store/imar3wfbs40f0y8r3zigc9c27h7bn9hw-d", "f0NcDEgtL1hlFigGm2qjwVIG55DIIMpxDoYISvvWqzY=", "fixed:r:sha256:0dmbsvxll2461rqwl868j3khcln1ldm9n1i82rjmhbrd9065qhvz", nil, true},
	{"/nix/store/lvzj6ycb16hvryh7qqdfiqnjlkz21s78-.gitignore", "Wsfqc3Ju3GrZ7Xq5bVj3Xdqxl0qfsgcd6P1whPUnc2Y=", "fixed:r:sha256:0rkk4zsq8w7xx0fhgclz9abv3njxyxc6vfbsxpcnmp3ff9rymiss", nil, true},
	{"/nix/store/79cm2xx1mx67igqbzqxcnb61m361ndfi-d", "f0NcDEgtL1hlFigGm2qjwVIG55DIIMpxDoYISvvWqzY=", "fixed:r:sha1:91dm5a8ffsmjsh6kk8k2f47df8dy4kni", nil, false},
	{
		"/nix/store/7v7r06lk5xpmwavsyqqb1zz5p28i2mjl-d", "f0NcDEgtL1hlFigGm2qjwVIG55DIIMpxDoYISvvWqzY=",
		"fixed:r:sha512:1rj3q9cfl6fbc38aj70r92lmb1yz4c46im9hrz3qsw5ypvvlmy4zhz0a4i4yj5fm22z292sjr6g43hxmdd581ixry330rypxw59scxy", nil, false,
	},
	{"/nix/store/7zg0fij37wxbav6lmxngza4wpkkbfndk-x-prefetched", "Wsfqc3Ju3GrZ7Xq5bVj3Xdqxl0qfsgcd6P1whPUnc2Y=", "fixed:sha256:0gy22sl80fhx1g0b4q321ny1z68jsjsn6qw0f2hs0x3pgia3dkys", nil, false},
	{"/nix/store/rqvnlhra0jkd1bpzpyjqlpaxf4asy31x-.gitignore", "Wsfqc3Ju3GrZ7Xq5bVj3Xdqxl0qfsgcd6P1whPUnc2Y=", "fixed:sha256:0gy22sl80fhx1g0b4q321ny1z68jsjsn6qw0f2hs0x3pgia3dkys", nil, false},
	{"/nix/store/8lhkjvlbhvh5v7gca4b9p5k56z8h0cg2-.gitignore", "Wsfqc3Ju3GrZ7Xq5bVj3Xdqxl0qfsgcd6P1whPUnc2Y=", "fixed:sha1:iyk76n5gfkd1zcjcx9l40p7gczgbarx1", nil, false},
	{"/nix/store/8nd0dnh8klq1pywy0rs6by5kqhr1rgn9-x?y=z+1", "zqKuvkgi6Jj33Ke8eF995SUQndkE4kfkX6n4dUVmRts=", "text:sha256:1kzpayxad0pakcfwrnhd981ydcnb69lvfl101vdinr7n7g6w4dcf", nil, false},
	{
		"/nix/store/5kd3ayiz7nwc83qzcalfvj8fg9r8ypqn-refs.txt", "HRamnU/bTAm3ZWZl4pAZqO6tNGad3nG+AU/ZodpcI14=",
		"text:sha256:1y2m6p31jb4pi9vpmkv3qx7h3jkikb929q2csd1b0hnad5gpkxaj",
		[]string{"/nix/store/yxgc0j5fvmcrm1g6ycn7wsb5jlzsmi5f-a.txt"},
		false,
	},
	{
		"/nix/store/km9n7vmknfzgwsjsq7qxlqx1xwksk3si-selfref.drv", "zre8V3MXZo1bjEnrekJlF1EShDbvCpyeC3je717Lfxo=",
		"text:sha256:0pw4rldryfpyc8iqlay4wnmjnq93jg96v8l9s6gpnv26i6jcm2q3",
		[]string{"imar3wfbs40f0y8r3zigc9c27h7bn9hw-d", "9nr5xh37wy1gx5sv9j1cj9if5svcw4lj-bb"},
		false,
	},
	{ // made by nix store make-content-addressed: its hash is that of the NAR without references to itself
		"/nix/store/i230lm09n2dqmma6lmajialfrgarqm24-selfref", "G9q/sYvIbYMT+oxyTtFbtC1cnsyaeBZMczXoZZdznr0=",
		"fixed:r:sha256:16pzmzp2pin9r7pxgqppfgm7k1f5hnzp33ymkrjwcn7l5b21mn8a",
		[]string{"/nix/store/i230lm09n2dqmma6lmajialfrgarqm24-selfref", "/nix/store/imar3wfbs40f0y8r3zigc9c27h7bn9hw-d"},
		false,
	},
	{ // input-addressed
		"/nix/store/w8hnfb54a2qipb9jr8sar893bingljca-selfref", "XK3Scc5msHghPRGn3JbmvghSaveQA+cFBOT29RJ6KTw=", "",
		[]string{"/nix/store/imar3wfbs40f0y8r3zigc9c27h7bn9hw-d", "/nix/store/w8hnfb54a2qipb9jr8sar893bingljca-selfref"},
		false,
	},
}

func narHash(t *testing.T, text string) [32]byte {
	t.Helper()
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != 32 {
		t.Fatalf("%s: %v", text, err)
	}
	return [32]byte(sum)
}

func TestProvenByName(t *testing.T) {
	for _, a := range addresses {
		nar := narHash(t, a.nar)
		if got := ecosystem.ProvenByName(a.path, nar, a.references); got != a.byName {
			t.Errorf("%s is proven by its name: %v, want %v", a.path, got, a.byName)
		}
		if got := ecosystem.ProvenByAddress(a.path, a.ca, a.references); got != (a.ca != "") {
			t.Errorf("%s is proven by %q: %v", a.path, a.ca, got)
		}
		other := nar
		other[31] ^= 1
		for what, proven := range map[string]bool{
			"another NAR":                      ecosystem.ProvenByName(a.path, other, a.references),
			"more references":                  ecosystem.ProvenByName(a.path, nar, append([]string{"/nix/store/" + nixHash + "-x"}, a.references...)),
			"another name":                     ecosystem.ProvenByName(a.path+"x", nar, a.references),
			"another store":                    ecosystem.ProvenByName("/gnu"+strings.TrimPrefix(a.path, "/nix"), nar, a.references),
			"more references than its address": ecosystem.ProvenByAddress(a.path, a.ca, append([]string{"/nix/store/" + nixHash + "-x"}, a.references...)),
			"another address":                  ecosystem.ProvenByAddress(a.path, strings.Replace(a.ca, "r:", "", 1)+"x", a.references),
			"an address for another name":      ecosystem.ProvenByAddress(a.path+"x", a.ca, a.references),
		} {
			if proven {
				t.Errorf("%s is proven by %s", a.path, what)
			}
		}
	}
	for _, ca := range []string{"", ":", "fixed", "fixed:", "fixed:r:", "fixed:r:sha256", "fixed:r:sha256:", "fixed:md4:00", "text:r:sha256:00", "text:sha1:iyk76n5gfkd1zcjcx9l40p7gczgbarx1", "fixed:sha256:zz"} {
		if ecosystem.ProvenByAddress(addresses[0].path, ca, nil) {
			t.Errorf("proven by %q", ca)
		}
	}
	if ecosystem.ProvenByName("x", [32]byte{}, nil) || ecosystem.ProvenByFlat("x", [32]byte{}, nil) || ecosystem.ProvenByAddress("x", "", nil) {
		t.Error("what is no store path is proven")
	}
}

// TestProvenAsNix lets Nix name contents, and finds their names proven.
func TestProvenAsNix(t *testing.T) {
	dir := t.TempDir()
	store := "local?root=" + filepath.Join(dir, "root")
	file := filepath.Join(dir, ".x?y=1+z")
	if err := os.WriteFile(file, []byte("flat\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) string {
		t.Helper()
		out, err := nix(t, program, args...)
		if err != nil {
			t.Fatalf("%s %v: %v", program, args, err)
		}
		return strings.Trim(out, `"`)
	}
	hash := func(args ...string) [32]byte {
		return narHash(t, strings.TrimPrefix(run("nix", append(append([]string{"hash"}, args...), file)...), "sha256-"))
	}
	flat, nar := hash("file"), hash("path")
	source := run("nix-store", "--store", store, "--add", file)
	fixed := run("nix-store", "--store", store, "--add-fixed", "sha256", file)
	text := run("nix-instantiate", "--store", store, "--read-write-mode", "--eval", "-E", `builtins.toFile "t" "flat\n"`)
	if !ecosystem.ProvenByName(source, nar, nil) || ecosystem.ProvenByName(fixed, nar, nil) || ecosystem.ProvenByName(text, nar, nil) {
		t.Errorf("by NAR hash: %s, not %s, not %s", source, fixed, text)
	}
	if ecosystem.ProvenByFlat(source, flat, nil) || !ecosystem.ProvenByFlat(fixed, flat, nil) || !ecosystem.ProvenByFlat(text, flat, nil) {
		t.Errorf("by flat hash: not %s, %s, %s", source, fixed, text)
	}
}

// TestNixCommands: what came out otherwise is attested under its store path, one output
// in a command, and only where the derivation fixes that path.
func TestNixCommands(t *testing.T) {
	const store = "/nix/store/" + nixHash + "-"
	outputs := []ecosystem.Output{
		{Name: "out", Key: store + "hello-1.0"},
		{Name: "doc", Key: store + "hello-1.0-doc"},
		{Name: "out", Key: store + "hello-1.0.drv^out"}, // its path follows from its content
		{Name: "", Key: store + "hello-1.0-man"},
		{Name: "man", Key: store + "hello-1.0-man"},
	}
	var attested []string
	for _, c := range ecosystem.Of(ecosystem.Nix).Rebuild(store+"hello-1.0.drv", outputs) {
		if strings.HasPrefix(c.Line, "repronet-reporter attest ") {
			attested = append(attested, strings.Join(c.Words[2:], " "))
		}
	}
	want := []string{"out " + store + "hello-1.0.check", "doc " + store + "hello-1.0-doc.check"}
	if !slices.Equal(attested, want) {
		t.Errorf("attests %q, want %q", attested, want)
	}
}
