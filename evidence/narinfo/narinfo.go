// Package narinfo opens the signed metadata of a Nix binary cache: a .narinfo
// file, in which one or more keys say which bytes a store path has.
//
// What is signed is the fingerprint: store path, NAR hash, NAR size and
// references. Everything else in the file (deriver, system, URL, compression,
// the content address) is not signed and is ignored, except that [Info.CA]
// tells that there is one: fixed outputs agree trivially, and a caller should
// not count them. A narinfo says nothing of when it was signed, so a key is
// judged at the time of receipt.
//
// A builder is a cache's Ed25519 key, with the same [signing.BuilderID] as any
// other such key. The name before the colon in "Sig: name:base64" is a hint that
// selects keys; several keys may share it, and nothing is believed by it.
//
// The parser is bounded and strict, stricter than Nix, so that no two readers
// can take the same bytes differently: one line a field, "\n" at their ends, no
// field of meaning twice.
//
// Formats: Nix's ValidPathInfo::fingerprint and the Nix 2 binary cache.
package narinfo

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence"
)

// Limits of what is accepted from anybody.
const (
	MaxSize       = 1 << 20 // bytes
	MaxReferences = 16384
	MaxSignatures = 16
)

// ErrMalformed is [evidence.ErrMalformed], wrapped by the errors of [Parse] and [Open].
var ErrMalformed = evidence.ErrMalformed

// Info is a narinfo's signed content. Nothing of it is proven before [Open].
type Info struct {
	StorePath  string
	NarHash    attestation.Digest
	NarSize    uint64
	References []string // full store paths, sorted
	// CA is the content address if the file has one. It is not signed.
	CA         string
	signatures []namedSignature
}

type namedSignature struct {
	name      string
	signature []byte
}

var (
	fieldPattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]{0,63}):(?: (.*))?$`)
	namePattern  = regexp.MustCompile(`^[!-9;-~]{1,128}$`) // printable, no colon
)

// Parse reads a narinfo.
func Parse(data []byte) (*Info, error) {
	info, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w narinfo: %w", ErrMalformed, err)
	}
	return info, nil
}

// unsigned are the fields of a narinfo that no signature covers, as Nix's
// NarInfo::to_string writes them.
var unsigned = []string{"URL", "Compression", "FileHash", "FileSize", "Deriver", "System", "CA"}

// maxUnsigned bounds one of those in bytes. A Deriver is the base name of a store path.
const maxUnsigned = 1024

// CheckFields reports what anybody could have put into a narinfo: a field that Nix does not
// write, or one that is not signed and longer than Nix writes it. [Parse] reads such a
// narinfo; whoever stores what strangers send asks this first. The error wraps
// [ErrMalformed].
func CheckFields(data []byte) error {
	for line := range bytes.Lines(data) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "StorePath", "NarHash", "NarSize", "References", "Sig":
			continue
		}
		if !slices.Contains(unsigned, string(name)) {
			return fmt.Errorf("%w narinfo: %.80q is no field that Nix writes", ErrMalformed, name)
		}
		if len(value) > maxUnsigned {
			return fmt.Errorf("%w narinfo: field %s has %d bytes, at most %d are accepted", ErrMalformed, name, len(value), maxUnsigned)
		}
	}
	return nil
}

func parse(data []byte) (*Info, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%d bytes, at most %d are accepted", len(data), MaxSize)
	}
	info := &Info{}
	seen := map[string]bool{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		field := fieldPattern.FindStringSubmatch(strings.TrimSuffix(string(line), "\n"))
		if field == nil {
			return nil, fmt.Errorf("line %d is not written as \"Field: value\"", number)
		}
		name, value := field[1], field[2]
		if name != "Sig" && seen[name] {
			return nil, fmt.Errorf("field %s occurs twice", name)
		}
		seen[name] = true
		if err := info.set(name, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, required := range []string{"StorePath", "NarHash", "NarSize"} {
		if !seen[required] {
			return nil, fmt.Errorf("has no field %s", required)
		}
	}
	return info, nil
}

func (i *Info) set(name, value string) (err error) {
	switch name {
	case "StorePath":
		i.StorePath = value
		return validatePath(value)
	case "NarHash":
		i.NarHash, err = ParseHash(value)
		return err
	case "NarSize":
		i.NarSize, err = strconv.ParseUint(value, 10, 63)
		if err != nil || i.NarSize == 0 || strconv.FormatUint(i.NarSize, 10) != value {
			return fmt.Errorf("%.30q is not a positive number of bytes", value)
		}
	case "References":
		return i.setReferences(value)
	case "CA":
		i.CA = value
	case "Sig":
		return i.addSignature(value)
	}
	return nil
}

func (i *Info) setReferences(value string) error {
	if value == "" {
		return nil
	}
	if strings.Count(value, " ") >= MaxReferences {
		return fmt.Errorf("more than %d", MaxReferences)
	}
	for base := range strings.SplitSeq(value, " ") {
		if err := validatePath(ecosystem.NixStore + base); err != nil {
			return err
		}
		i.References = append(i.References, ecosystem.NixStore+base)
	}
	slices.Sort(i.References)
	if n := len(i.References); len(slices.Compact(slices.Clone(i.References))) != n {
		return errors.New("a path occurs twice")
	}
	return nil
}

// validatePath accepts a path of Nix's store and no key that is made of one.
func validatePath(path string) error {
	p, err := ecosystem.ParseStorePath(path)
	if err == nil && p.Store != ecosystem.NixStore {
		err = fmt.Errorf("%.100q is not a path of %s", path, ecosystem.NixStore)
	}
	return err
}

func (i *Info) addSignature(value string) error {
	if len(i.signatures) == MaxSignatures {
		return fmt.Errorf("more than %d", MaxSignatures)
	}
	name, data, err := splitNamed(value, ed25519.SignatureSize)
	if err != nil {
		return err
	}
	i.signatures = append(i.signatures, namedSignature{name, data})
	return nil
}

// splitNamed reads "name:base64" as Nix writes keys and signatures.
func splitNamed(value string, size int) (name string, data []byte, err error) {
	name, encoded, found := strings.Cut(value, ":")
	if !found || !namePattern.MatchString(name) {
		return "", nil, errors.New(`not written as "name:base64"`)
	}
	data, err = base64.StdEncoding.Strict().DecodeString(encoded)
	// Go's decoder skips line ends.
	if err != nil || len(data) != size || len(encoded) != base64.StdEncoding.EncodedLen(size) {
		return "", nil, fmt.Errorf("what follows the name is not the base 64 of %d bytes", size)
	}
	return name, data, nil
}

// ParseHash reads a SHA-256 digest in the spellings that Nix has: "sha256:" and
// 52 characters of its base 32, 64 hexadecimal digits or 44 of base 64; or
// "sha256-" and base 64 (SRI).
func ParseHash(s string) (attestation.Digest, error) {
	digits, named := strings.CutPrefix(s, "sha256:")
	named = named || strings.HasPrefix(s, "sha256-")
	d, err := attestation.ParseAnyDigest(s)
	// Digits in upper case are no spelling of Nix's own.
	if err != nil || !named || len(digits) == hex.EncodedLen(len(d)) && digits != d.Hex() {
		return attestation.Digest{}, fmt.Errorf("%.80q is not a SHA-256 digest as Nix writes it", s)
	}
	return d, nil
}

// Fingerprint returns the bytes that a cache signs.
func (i *Info) Fingerprint() []byte {
	return fmt.Appendf(nil, "1;%s;sha256:%s;%d;%s", i.StorePath, nixbase32.EncodeToString(i.NarHash[:]), i.NarSize, strings.Join(i.References, ","))
}
