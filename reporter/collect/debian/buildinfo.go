package debian

import (
	"errors"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/spool"
)

// maxFiles bounds the files that one build has.
const maxFiles = 4096

// A file is a line of Checksums-Sha256.
type file struct {
	name   string
	size   int64
	digest attestation.Digest
}

// A Found is what a file says of a build.
type Found struct {
	Records []*spool.Record // one for each architecture
	// Left are the files that are named and are no output of a build, such as the source.
	Left []string
}

// Read returns the records of the build that a .buildinfo file is about, or a .changes file
// that names one. Each binary package that it names has to lie beside it as it says.
func Read(name string, occasion attestation.Occasion) (*Found, error) {
	switch filepath.Ext(name) {
	case ".changes":
		var err error
		if name, err = buildinfoOf(name); err != nil {
			return nil, err
		}
	case ".buildinfo":
	default:
		return nil, fmt.Errorf("%s: neither a .buildinfo nor a .changes file", name)
	}
	p, err := readControl(name)
	if err != nil {
		return nil, err
	}
	found, err := p.builds(filepath.Dir(name), occasion)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return found, nil
}

// buildinfoOf finds the .buildinfo file that a .changes file names.
func buildinfoOf(changes string) (string, error) {
	p, err := readControl(changes)
	if err != nil {
		return "", err
	}
	files, err := p.files()
	if err != nil {
		return "", fmt.Errorf("%s: %w", changes, err)
	}
	files = slices.DeleteFunc(files, func(f file) bool { return filepath.Ext(f.name) != ".buildinfo" })
	if len(files) != 1 {
		return "", fmt.Errorf("%s names %d .buildinfo files, not one", changes, len(files))
	}
	if err := files[0].check(filepath.Dir(changes)); err != nil {
		return "", fmt.Errorf("%s: %w", changes, err)
	}
	return filepath.Join(filepath.Dir(changes), files[0].name), nil
}

// files reads Checksums-Sha256: a digest, a size and a name a line.
func (p paragraph) files() ([]file, error) {
	var files []file
	for _, line := range p.lines("checksums-sha256") {
		words := strings.Fields(line)
		if len(words) != 3 {
			return nil, fmt.Errorf("Checksums-Sha256: %q is not a digest, a size and a name", line)
		}
		f := file{name: words[2]}
		var err error
		if f.digest, err = attestation.ParseDigest("sha256:" + words[0]); err != nil {
			return nil, fmt.Errorf("Checksums-Sha256: %s: %w", f.name, err)
		}
		if f.size, err = strconv.ParseInt(words[1], 10, 64); err != nil || f.size < 0 {
			return nil, fmt.Errorf("Checksums-Sha256: %s: %q is no size", f.name, words[1])
		}
		if f.name != filepath.Base(f.name) || f.name == "." || f.name == ".." {
			return nil, fmt.Errorf("Checksums-Sha256: %q is not the name of a file beside it", f.name)
		}
		if slices.ContainsFunc(files, func(other file) bool { return other.name == f.name }) {
			return nil, fmt.Errorf("Checksums-Sha256 has %s twice", f.name)
		}
		if files = append(files, f); len(files) > maxFiles {
			return nil, fmt.Errorf("Checksums-Sha256 has more than %d files", maxFiles)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("it has no Checksums-Sha256")
	}
	return files, nil
}

// check compares a file with what is said of it.
func (f *file) check(dir string) error {
	path := filepath.Join(dir, f.name)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() != f.size {
		return fmt.Errorf("%s has %d bytes, not %d: it was made or changed by something else", path, info.Size(), f.size)
	}
	digest, _, err := collect.Digest(path)
	if err == nil && digest != f.digest {
		err = fmt.Errorf("%s has the digest %s, not %s: it was made or changed by something else", path, digest, f.digest)
	}
	return err
}

// packageFile is the name of a binary package: name, version, architecture.
var packageFile = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*_[A-Za-z0-9.+~-]+_([a-z0-9-]+)\.(?:deb|udeb)$`)

// builds returns the records of a .buildinfo file that lies in dir.
func (p paragraph) builds(dir string, occasion attestation.Occasion) (*Found, error) {
	source, _, _ := strings.Cut(p["source"], " ") // "vim (2:9.0-1)" of one rebuilt without changes
	version := p["version"]
	if source == "" || version == "" {
		return nil, errors.New("it has no Source or no Version")
	}
	finished, err := mail.ParseDate(p["build-date"])
	if err != nil {
		return nil, fmt.Errorf("Build-Date: %w", err)
	}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	found := &Found{}
	byArchitecture := map[string]*spool.Record{}
	environment := p.environment(dir)
	for _, f := range files {
		parts := packageFile.FindStringSubmatch(f.name)
		if parts == nil {
			found.Left = append(found.Left, f.name)
			continue
		}
		if err := f.check(dir); err != nil {
			return nil, err
		}
		record := byArchitecture[parts[1]]
		if record == nil {
			record = &spool.Record{
				Type: attestation.Rebuild, Ecosystem: ecosystem.Debian, DigestKind: attestation.File,
				Build:    source + "@" + version + "/" + parts[1],
				Finished: finished.UTC().Truncate(time.Second), Occasion: occasion, Environment: environment,
			}
			byArchitecture[parts[1]] = record
			found.Records = append(found.Records, record)
		}
		key := ecosystem.Of(record.Ecosystem).Key(record.Build, f.name)
		record.Outputs = append(record.Outputs, spool.Output{Key: key, Digest: f.digest})
	}
	if len(found.Records) == 0 {
		return nil, errors.New("it names no binary package (.deb, .udeb)")
	}
	for _, record := range found.Records {
		if err := record.Validate(); err != nil {
			return nil, err
		}
	}
	return found, nil
}
