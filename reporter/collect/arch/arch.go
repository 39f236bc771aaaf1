// Package arch reads Arch Linux packages as makepkg makes them: the .BUILDINFO file in each
// (BUILDINFO(5)) says from which recipe it was built, when, and with what.
//
// A build is "<pkgbase>@<version>/<architecture>" with the version as the package has it,
// epoch and release included; its output is the package file.
package arch

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/spool"
)

const (
	// maxBuildinfo bounds .BUILDINFO, which lists all installed packages.
	maxBuildinfo = 4 << 20
	// maxBefore is how many files may be before it; makepkg puts it among the first three.
	maxBefore = 16
	// maxWindow bounds the memory of a decompressor, in bytes.
	maxWindow = 128 << 20
)

// Read returns the record of the build that made a package.
func Read(file string, occasion attestation.Occasion) (*spool.Record, error) {
	text, err := buildinfo(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	fields, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: .BUILDINFO: %w", file, err)
	}
	record, err := fields.record(file, occasion)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return record, nil
}

// buildinfo reads the .BUILDINFO file in a package.
func buildinfo(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is not waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is not a regular file"))
	}
	archive, done, err := decompress(f, file)
	if err != nil {
		return nil, err
	}
	defer done()
	files := tar.NewReader(archive)
	for range maxBefore {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		if header.Name != ".BUILDINFO" || header.Typeflag != tar.TypeReg {
			if header.Size > maxBuildinfo { // which none of makepkg's own files is
				break
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(files, maxBuildinfo+1))
		if err == nil && len(text) > maxBuildinfo {
			err = fmt.Errorf(".BUILDINFO has more than %d bytes", maxBuildinfo)
		}
		return text, err
	}
	return nil, errors.New("it has no .BUILDINFO among its first files: makepkg made none, or this is no package of Arch")
}

// decompress reads a package as its name says that it is compressed.
func decompress(r io.Reader, file string) (archive io.Reader, done func(), err error) {
	r = bufio.NewReaderSize(r, 64<<10)
	switch {
	case strings.HasSuffix(file, ".pkg.tar.zst"):
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	case strings.HasSuffix(file, ".pkg.tar.xz"):
		d, err := xz.NewReader(r, maxWindow)
		return d, func() {}, err
	case strings.HasSuffix(file, ".pkg.tar"):
		return r, func() {}, nil
	}
	return nil, nil, errors.New("its name does not end with .pkg.tar.zst, .pkg.tar.xz or .pkg.tar")
}

// A buildinfo's fields, with their values in the order in which they come.
type fields map[string][]string

func parse(text []byte) (fields, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	f := fields{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, " = ")
		if !found {
			return nil, fmt.Errorf("line %d is not NAME = VALUE", number)
		}
		f[name] = append(f[name], value)
	}
	return f, nil
}

// one returns the value of a field that there is once.
func (f fields) one(name string) (string, error) {
	if len(f[name]) != 1 {
		return "", fmt.Errorf(".BUILDINFO has %d fields %s, not one", len(f[name]), name)
	}
	return f[name][0], nil
}

func (f fields) record(file string, occasion attestation.Occasion) (*spool.Record, error) {
	values := map[string]string{}
	for _, name := range []string{"pkgname", "pkgbase", "pkgver", "pkgarch", "builddate"} {
		value, err := f.one(name)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	base := filepath.Base(file)
	if want := values["pkgname"] + "-" + values["pkgver"] + "-" + values["pkgarch"] + ".pkg.tar"; !strings.HasPrefix(base, want) {
		return nil, fmt.Errorf("the package in it is called %s: others know it by that name", want)
	}
	seconds, err := strconv.ParseInt(values["builddate"], 10, 64)
	if err != nil {
		return nil, fmt.Errorf(".BUILDINFO: builddate %q is no number of seconds", values["builddate"])
	}
	digest, _, err := collect.Digest(file)
	if err != nil {
		return nil, err
	}
	record := &spool.Record{
		Type: attestation.Rebuild, Ecosystem: ecosystem.Arch, DigestKind: attestation.File,
		Build:    values["pkgbase"] + "@" + values["pkgver"] + "/" + values["pkgarch"],
		Finished: time.Unix(seconds, 0).UTC(), Occasion: occasion, Environment: f.environment(filepath.Dir(file)),
	}
	record.Outputs = []spool.Output{{Key: ecosystem.Of(record.Ecosystem).Key(record.Build, base), Digest: digest}}
	return record, record.Validate()
}

var compiler = regexp.MustCompile(`^(gcc|clang)-([0-9][0-9A-Za-z.+_]*-[0-9.]+)-[a-z0-9_]+$`)

// environment is that of the machine, with the compiler that was installed. Time zone,
// locale and file mode mask of the build are told nowhere.
func (f fields) environment(dir string) map[string]string {
	env := collect.Environment(dir)
	delete(env, "tz")
	delete(env, "umask")
	delete(env, "locale")
	for _, installed := range f["installed"] {
		if m := compiler.FindStringSubmatch(installed); m != nil && env["compiler"] == "" {
			env["compiler"] = m[1] + " " + m[2]
		}
	}
	return env
}
