package arch_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
	"repronet.dev/reporter/collect/arch"
)

const pkgbuild = `pkgname=tool
pkgver=1.0
pkgrel=1
epoch=2
arch=(any)
package() {
  mkdir -p "$pkgdir/usr/share/tool"
  date -u -d "@$SOURCE_DATE_EPOCH" > "$pkgdir/usr/share/tool/built"
}
`

// place makes a directory with the recipe, which makepkg can use as a user who is not root.
func place(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "PKGBUILD"), []byte(pkgbuild), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		for path := dir; strings.HasPrefix(path, os.TempDir()+"/"); path = filepath.Dir(path) {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const nobody = 65534

// makepkg builds the package in a place, and returns its file.
func makepkg(t *testing.T, dir string, epoch int, env ...string) string {
	t.Helper()
	args := []string{needtest.Program(t, "makepkg", "makepkg"), "--nodeps", "--skipinteg", "--nosign", "--force"}
	if os.Geteuid() == 0 { // which makepkg refuses
		args = append([]string{needtest.Program(t, "setpriv", "util-linux"), fmt.Sprint("--reuid=", nobody), fmt.Sprint("--regid=", nobody), "--clear-groups"}, args...)
	}
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Dir = dir
	c.Env = append(os.Environ(), append(env, "HOME="+dir, "PKGEXT=.pkg.tar.zst", fmt.Sprint("SOURCE_DATE_EPOCH=", epoch))...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.pkg.tar.zst"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%v, %v", packages, err)
	}
	return packages[0]
}

// Real builds by makepkg: two in the same directory, whose name is in the package, agree, and
// another date of the source makes another package.
func TestBuilds(t *testing.T) {
	t.Parallel()
	const epoch = 1793613600
	dir := place(t)
	built := func(epoch int, env ...string) string {
		record, err := arch.Read(makepkg(t, dir, epoch, env...), attestation.OccasionBuild)
		if err != nil {
			t.Fatal(err)
		}
		if record.Build != "tool@2:1.0-1/any" || record.Outputs[0].Key != "tool@2:1.0-1/any^tool-2:1.0-1-any.pkg.tar.zst" || record.Environment["system"] == "" {
			t.Errorf("recorded %+v", record)
		}
		return record.Outputs[0].Digest.String()
	}
	first := built(epoch)
	if again := built(epoch, "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8"); again != first {
		t.Errorf("built again: %s, then %s", first, again)
	}
	if later := built(epoch + 86400); later == first {
		t.Error("another SOURCE_DATE_EPOCH made the same package")
	}
}

const buildinfo = `format = 2
pkgname = tool
pkgbase = tool
pkgver = 2:1.0-1
pkgarch = any
packager = Unknown Packager
builddate = 1793613600
installed = gcc-14.2.1+r32+geccf707e5ce-1-x86_64
`

// pack makes a package with files in their order.
func pack(t *testing.T, name string, files ...[2]string) string {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range files {
		if err := w.WriteHeader(&tar.Header{Name: file[0], Mode: 0o644, Size: int64(len(file[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content := archive.Bytes()
	if strings.HasSuffix(name, ".zst") {
		encoder, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		content = encoder.EncodeAll(content, nil)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFiles(t *testing.T) {
	t.Parallel()
	const name = "tool-2:1.0-1-any.pkg.tar.zst"
	record, err := arch.Read(pack(t, name, [2]string{".PKGINFO", "x"}, [2]string{".BUILDINFO", buildinfo}), attestation.OccasionRebuild)
	if err != nil {
		t.Fatal(err)
	}
	if record.Environment["compiler"] != "gcc 14.2.1+r32+geccf707e5ce-1" || record.Finished.Unix() != 1793613600 || record.Occasion != attestation.OccasionRebuild {
		t.Errorf("recorded %+v", record)
	}
	with := func(text string) string { return pack(t, name, [2]string{".BUILDINFO", text}) }
	without := func(line string) string { return with(strings.Replace(buildinfo, line+"\n", "", 1)) }
	var many [][2]string
	for i := range 20 {
		many = append(many, [2]string{fmt.Sprint("file", i), "x"})
	}
	tests := map[string]struct{ file, want string }{
		"another name":       {pack(t, "other-1.0-1-any.pkg.tar.zst", [2]string{".BUILDINFO", buildinfo}), "others know it by that name"},
		"no .BUILDINFO":      {pack(t, name, [2]string{".PKGINFO", "x"}), "no .BUILDINFO"},
		"behind many":        {pack(t, name, append(many, [2]string{".BUILDINFO", buildinfo})...), "no .BUILDINFO"},
		"behind a large":     {pack(t, name, [2]string{"large", strings.Repeat("x", 5<<20)}, [2]string{".BUILDINFO", buildinfo}), "no .BUILDINFO"},
		"no archive":         {pack(t, strings.TrimSuffix(name, ".zst")+".gz"), "does not end with"},
		"not compressed":     {pack(t, strings.TrimSuffix(name, ".zst")+".xz", [2]string{".BUILDINFO", buildinfo}), "xz"},
		"no base":            {without("pkgbase = tool"), "0 fields pkgbase"},
		"two versions":       {with(buildinfo + "pkgver = 2:1.0-2\n"), "2 fields pkgver"},
		"no date":            {with(strings.Replace(buildinfo, "1793613600", "yesterday", 1)), "no number of seconds"},
		"a date of old":      {with(strings.Replace(buildinfo, "1793613600", "-1793613600", 1)), "1990 and 2200"},
		"no field":           {with(buildinfo + "what is this\n"), "line 9 is not NAME = VALUE"},
		"no UTF-8":           {with(buildinfo + "x = \xff\n"), "not UTF-8"},
		"a base that bites":  {with(strings.Replace(buildinfo, "pkgbase = tool", "pkgbase = ../tool", 1)), "../tool"},
		"a large .BUILDINFO": {with(buildinfo + strings.Repeat("# x\n", 2<<20)), "more than"},
	}
	for name, test := range tests {
		if record, err := arch.Read(test.file, attestation.OccasionBuild); err == nil {
			t.Errorf("%s: recorded %+v", name, record)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
