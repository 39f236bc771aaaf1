package debian_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/internal/exectest"
	"repronet.dev/internal/needtest"
	"repronet.dev/reporter/collect/debian"
	"repronet.dev/reporter/spool"
)

// source is a small source package that needs nothing but dpkg-dev and make.
var source = map[string]string{
	"debian/changelog": `tool (1:1.0) unstable; urgency=medium

  * A change.

 -- A Person <person@example.org>  %s
`,
	"debian/control": `Source: tool
Section: misc
Priority: optional
Maintainer: A Person <person@example.org>
Rules-Requires-Root: no
Standards-Version: 4.6.2

Package: tool
Architecture: any
Description: a tool
 It does nothing.

Package: tool-doc
Architecture: all
Description: a tool's manual
 It says nothing.
`,
	"debian/rules": `#!/usr/bin/make -f
clean:
	rm -rf debian/tool debian/tool-doc debian/files
build build-arch build-indep:
binary-arch: tool
binary-indep: tool-doc
binary: binary-arch binary-indep
tool tool-doc:
	umask 022; mkdir -p debian/$@/usr/share/$@ debian/$@/DEBIAN
	umask 022; date -u -d @$$SOURCE_DATE_EPOCH > debian/$@/usr/share/$@/built
	umask 022; dpkg-gencontrol -p$@ -Pdebian/$@
	find debian/$@ -newermt @$$SOURCE_DATE_EPOCH -print0 | xargs -0r touch --no-dereference --date=@$$SOURCE_DATE_EPOCH
	dpkg-deb --root-owner-group --build debian/$@ ..
.PHONY: clean build build-arch build-indep binary binary-arch binary-indep tool tool-doc
`,
	"debian/source/format": "3.0 (native)\n",
}

// build builds the source package, as others would elsewhere, and returns the .changes file.
func build(t *testing.T, changed string, umask int, args []string, env ...string) string {
	t.Helper()
	needtest.Program(t, "dpkg-buildpackage", "dpkg-dev")
	needtest.Program(t, "make", "make")
	dir := filepath.Join(t.TempDir(), "tool-1.0")
	for name, text := range source {
		if strings.HasSuffix(name, "changelog") {
			text = fmt.Sprintf(text, changed)
		}
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		exectest.Write(t, file, text)
	}
	script := fmt.Sprintf("umask %03o; exec dpkg-buildpackage -us -uc -d %s", umask, strings.Join(args, " "))
	c := exec.CommandContext(t.Context(), "sh", "-c", script)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	changes, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*.changes"))
	if err != nil || len(changes) != 1 {
		t.Fatalf("%v, %v", changes, err)
	}
	return changes[0]
}

func outputs(records []*spool.Record) map[string]string {
	all := map[string]string{}
	for _, r := range records {
		for _, o := range r.Outputs {
			all[o.Key] = o.Digest.String()
		}
	}
	return all
}

const changed = "Mon, 02 Nov 2026 10:00:00 +0000"

// Real builds: the same source built by two, and with another date of its last change.
func TestBuilds(t *testing.T) {
	t.Parallel()
	changes := build(t, changed, 0o022, []string{"-b"}, "DEB_BUILD_OPTIONS=parallel=3", "LC_ALL=C.UTF-8")
	found, err := debian.Read(changes, attestation.OccasionBuild)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Records) != 2 || len(found.Left) != 0 {
		t.Fatalf("found %+v", found)
	}
	for _, r := range found.Records {
		t.Logf("%s: %v", r.Build, r.Environment)
		if r.Environment["cores"] != "3" || r.Environment["locale"] != "C.UTF-8" || r.Environment["system"] == "" || r.Environment["umask"] != "" {
			t.Errorf("environment %v", r.Environment)
		}
		if r.Finished.IsZero() {
			t.Errorf("no time: %+v", r)
		}
	}
	first := outputs(found.Records)
	deb := ""
	for key := range first {
		if strings.HasPrefix(key, "tool@1:1.0/all^") && key != "tool@1:1.0/all^tool-doc_1.0_all.deb" {
			t.Errorf("key %s", key)
		}
		if strings.HasSuffix(key, ".deb") && strings.Contains(key, "^tool_1.0_") {
			deb = key
		}
	}
	if len(first) != 2 || deb == "" {
		t.Fatalf("outputs %v", first)
	}

	elsewhere := build(t, changed, 0o077, []string{"-b"}, "TZ=Asia/Tokyo")
	found, err = debian.Read(elsewhere, attestation.OccasionBuild)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, outputs(found.Records)); diff != "" {
		t.Errorf("built elsewhere (-here +there):\n%s", diff)
	}

	// Who builds only what every architecture shares gets it under the same key.
	shared := build(t, changed, 0o022, []string{"-A"})
	if found, err = debian.Read(shared, attestation.OccasionRebuild); err != nil {
		t.Fatal(err)
	}
	const doc = "tool@1:1.0/all^tool-doc_1.0_all.deb"
	if diff := cmp.Diff(map[string]string{doc: first[doc]}, outputs(found.Records)); diff != "" {
		t.Errorf("built alone (-want +got):\n%s", diff)
	}

	later := build(t, "Tue, 03 Nov 2026 10:00:00 +0000", 0o022, []string{"-F"})
	if found, err = debian.Read(later, attestation.OccasionBuild); err != nil {
		t.Fatal(err)
	}
	if outputs(found.Records)[deb] == first[deb] {
		t.Error("another SOURCE_DATE_EPOCH made the same package")
	}
	if len(found.Left) != 1 || !strings.HasSuffix(found.Left[0], ".dsc") {
		t.Errorf("left out %v", found.Left)
	}
}

// buildinfo is one of a package whose bytes are "package\n".
func buildinfo() string {
	return fmt.Sprintf(`Format: 1.0
Source: tool
Binary: tool
Architecture: amd64
Version: 1:1.0
Checksums-Sha256:
 %x 8 tool_1.0_amd64.deb
Build-Origin: Debian
Build-Architecture: amd64
Build-Date: Mon, 02 Nov 2026 10:00:00 +0000
Installed-Build-Depends:
 gcc-12 (= 12.2.0-14+deb12u1),
 make (= 4.3-4.1)
Environment:
 DEB_BUILD_OPTIONS="parallel=2"
 LANG="de_DE.UTF-8"
 SOURCE_DATE_EPOCH="1793613600"
`, sha256.Sum256([]byte("package\n")))
}

func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"tool_1.0_amd64.deb": "package\n", "tool.buildinfo": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tool.buildinfo")
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	found, err := debian.Read(write(t, buildinfo()), attestation.OccasionBuild)
	if err != nil {
		t.Fatal(err)
	}
	env := found.Records[0].Environment
	if env["compiler"] != "gcc 12.2.0-14+deb12u1" || env["cores"] != "2" || env["locale"] != "de_DE.UTF-8" {
		t.Errorf("environment %v", env)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	good := buildinfo()
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte("package\n")))
	tests := map[string]struct{ text, want string }{
		"another digest":        {strings.Replace(good, digest, strings.Repeat("0", 64), 1), "was made or changed by something else"},
		"another size":          {strings.Replace(good, " 8 ", " 9 ", 1), "has 8 bytes, not 9"},
		"negative size":         {strings.Replace(good, " 8 ", " -8 ", 1), "is no size"},
		"a file that is gone":   {strings.ReplaceAll(good, "tool_1.0_amd64", "tool_1.1_amd64"), "no such file"},
		"a file elsewhere":      {strings.Replace(good, " 8 tool_", " 8 ../tool_", 1), "is not the name of a file beside it"},
		"a file twice":          {strings.Replace(good, "Build-Origin", " "+digest+" 8 tool_1.0_amd64.deb\nBuild-Origin", 1), "twice"},
		"no digest":             {strings.Replace(good, digest, "abc", 1), "tool_1.0_amd64.deb"},
		"a line of two words":   {strings.Replace(good, " 8 tool", " tool", 1), "is not a digest, a size and a name"},
		"no packages":           {strings.Replace(good, "tool_1.0_amd64.deb", "tool.buildinfo", 1), "names no binary package"},
		"no checksums":          {strings.Replace(good, "Checksums-Sha256", "Checksums-Md5", 1), "no Checksums-Sha256"},
		"no source":             {strings.Replace(good, "Source: tool\n", "", 1), "no Source"},
		"no version":            {strings.Replace(good, "Version: 1:1.0\n", "", 1), "no Version"},
		"a version that bites":  {strings.Replace(good, "Version: 1:1.0\n", "Version: 1.0/../../2\n", 1), "tool@1.0/../../2"},
		"no date":               {strings.Replace(good, "Build-Date", "Build-Day", 1), "Build-Date"},
		"a date of another age": {strings.Replace(good, "Nov 2026", "Nov 1926", 1), "1990 and 2200"},
		"a field twice":         {good + "source: other\n", "a second field source"},
		"two paragraphs":        {good + "\nSource: other\n", "a second paragraph"},
		"continues nothing":     {" x\n" + good, "continues nothing"},
		"no field":              {good + "what is this\n", "is no field"},
		"no UTF-8":              {good + "X: \xff\n", "not UTF-8"},
		"empty":                 {"", "no fields"},
		"cut off signed":        {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + good, "clearsigned"},
	}
	for name, test := range tests {
		found, err := debian.Read(write(t, test.text), attestation.OccasionBuild)
		if err == nil {
			t.Errorf("%s: found %+v", name, found)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	file := write(t, good)
	deb := filepath.Join(filepath.Dir(file), "tool_1.0_amd64.deb")
	if err := os.Rename(deb, deb+"-elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deb+"-elsewhere", deb); err != nil {
		t.Fatal(err)
	}
	if _, err := debian.Read(file, attestation.OccasionBuild); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a link: %v", err)
	}
	if _, err := debian.Read(filepath.Join(filepath.Dir(file), "tool.dsc"), attestation.OccasionBuild); err == nil || !strings.Contains(err.Error(), "neither a .buildinfo nor a .changes file") {
		t.Errorf("a .dsc: %v", err)
	}
}
