package ecosystem

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nix-community/go-nix/pkg/nixbase32"
)

// The directories of the stores, as builds see them.
const (
	NixStore  = "/nix/store/"
	GuixStore = "/gnu/store/"
)

const (
	hashLength = 32  // characters of base 32, for 20 bytes
	maxName    = 211 // Nix's StorePath::MaxPathLen, which Guix keeps to as well
	drvSuffix  = ".drv"
)

// A StorePath is a path of a store, taken apart: Store + Hash + "-" + Name.
type StorePath struct {
	Store string // its directory, with a slash at the end
	Hash  string // 32 characters of Nix's base 32
	Name  string
}

func (p StorePath) String() string { return p.Store + p.Hash + "-" + p.Name }

// ParseStorePath takes apart a path directly in a store that is known, as the
// store's own programs accept its name.
func ParseStorePath(path string) (StorePath, error) {
	store := NixStore
	if strings.HasPrefix(path, GuixStore) {
		store = GuixStore
	}
	return parseIn(store, path)
}

// ParseStoreName takes apart what Nix's documents write for a store path: the path
// itself, or without the store's directory its base name.
func ParseStoreName(name string) (StorePath, error) {
	if !strings.HasPrefix(name, "/") {
		name = NixStore + name
	}
	return parseIn(NixStore, name)
}

func parseIn(store, path string) (StorePath, error) {
	p, err := parsePath(store, path)
	if err != nil {
		return StorePath{}, fmt.Errorf("%.100q is not a store path: %w", path, err)
	}
	return p, nil
}

// parsePath reads a path of a store. Its errors are about "it".
func parsePath(store, path string) (StorePath, error) {
	base, ok := strings.CutPrefix(path, store)
	if !ok {
		return StorePath{}, fmt.Errorf("it is not below %s", store)
	}
	p := StorePath{Store: store}
	p.Hash, p.Name, ok = strings.Cut(base, "-")
	if !ok || !isHash(p.Hash) {
		return StorePath{}, fmt.Errorf("the store is not followed by %d characters of base 32 and a dash", hashLength)
	}
	check := checkNixName
	if store == GuixStore {
		check = checkGuixName
	}
	return p, check(p.Name)
}

// StoreHash returns the hash part of a store path, or of what is only its hash, ""
// for everything else.
func StoreHash(path string) string {
	if isHash(path) {
		return path
	}
	p, err := ParseStorePath(path)
	if err != nil {
		return ""
	}
	return p.Hash
}

// isHash: 32 digits of Nix's base 32, which has no e, o, t and u.
func isHash(s string) bool {
	if len(s) != hashLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z' || c == 'e' || c == 'o' || c == 't' || c == 'u') {
			return false
		}
	}
	return true
}

// checkNixName is Nix's checkName (src/libstore/path.cc, since 2.3): dots may
// begin a name, except where its first part between dashes is "." or "..".
func checkNixName(name string) error {
	if err := checkStoreName(name); err != nil {
		return err
	}
	if first, _, _ := strings.Cut(name, "-"); first == "." || first == ".." {
		return fmt.Errorf("its name begins with the part %q", first)
	}
	return nil
}

// checkGuixName is the checkStoreName of Guix's daemon: no dot begins a name.
func checkGuixName(name string) error {
	if err := checkStoreName(name); err != nil {
		return err
	}
	if name[0] == '.' {
		return errors.New("its name begins with a dot")
	}
	return nil
}

func checkStoreName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("its name has not 1 to %d characters", maxName)
	}
	for _, r := range name {
		if r >= 0x80 || !isAlphanumeric(byte(r)) && !strings.ContainsRune("+-._?=", r) {
			return fmt.Errorf("its name contains %q; allowed are letters, digits and + - . _ ? =", r)
		}
	}
	return nil
}

// ProvenByName reports whether a store path follows from the NAR hash of what it
// holds and from the paths that this refers to: a source, or a fixed output of a
// recursive SHA-256. Builders who have such a path have the same bytes: they agree
// trivially. references are store paths or their base names. A path that refers to
// itself does not follow from its NAR hash; see [ProvenByAddress].
func ProvenByName(path string, nar [sha256.Size]byte, references []string) bool {
	p, refs, ok := addressed(path, references)
	return ok && !slices.Contains(refs, path) && p.sourceHash(nar, refs) == p.Hash
}

// ProvenByFlat reports whether a store path follows from the SHA-256 of the bytes
// of the one file that it holds, and from the paths that this refers to: a fixed
// output of a flat SHA-256, or a text, which derivations are.
func ProvenByFlat(path string, flat [sha256.Size]byte, references []string) bool {
	p, refs, ok := addressed(path, references)
	if !ok {
		return false
	}
	return p.makeHash(withReferences("text", path, refs), flat) == p.Hash ||
		len(refs) == 0 && p.fixedHash("sha256:"+hex.EncodeToString(flat[:])) == p.Hash
}

// ProvenByAddress reports whether a store path follows from a content address as
// Nix writes it ("fixed:r:sha256:…", "fixed:sha1:…", "text:sha256:…"), and from
// the paths that it refers to. The address is then the one that the path's name
// fixes, wherever it is written; that the content has it is another question, which
// [ProvenByName] and [ProvenByFlat] answer.
func ProvenByAddress(path, address string, references []string) bool {
	p, refs, ok := addressed(path, references)
	if !ok {
		return false
	}
	kind, rest, _ := strings.Cut(address, ":")
	method, algorithm := "", rest
	for _, m := range []string{"r:", "git:"} {
		if after, ok := strings.CutPrefix(rest, m); ok && kind == "fixed" {
			method, algorithm = m, after
		}
	}
	algorithm, digits, _ := strings.Cut(algorithm, ":")
	sum, err := parseSum(algorithm, digits)
	if err != nil {
		return false
	}
	switch {
	case kind == "text" && algorithm == "sha256":
		return p.makeHash(withReferences("text", path, refs), [sha256.Size]byte(sum)) == p.Hash
	case kind == "fixed" && method == "r:" && algorithm == "sha256":
		return p.sourceHash([sha256.Size]byte(sum), refs) == p.Hash
	case kind == "fixed" && len(refs) == 0:
		return p.fixedHash(method+algorithm+":"+hex.EncodeToString(sum)) == p.Hash
	}
	return false
}

// addressed reads a path and what it refers to, sorted as Nix sorts it.
func addressed(path string, references []string) (p StorePath, refs []string, ok bool) {
	p, err := ParseStorePath(path)
	if err != nil {
		return p, nil, false
	}
	for _, r := range references {
		if !strings.HasPrefix(r, "/") {
			r = p.Store + r
		}
		refs = append(refs, r)
	}
	slices.Sort(refs)
	return p, slices.Compact(refs), true
}

// sourceHash is makeFixedOutputPath of Nix for a recursive SHA-256.
func (p StorePath) sourceHash(nar [sha256.Size]byte, refs []string) string {
	return p.makeHash(withReferences("source", p.String(), refs), nar)
}

// fixedHash is makeFixedOutputPath of Nix for everything else.
func (p StorePath) fixedHash(methodAndHash string) string {
	return p.makeHash("output:out", sha256.Sum256([]byte("fixed:out:"+methodAndHash+":")))
}

// withReferences is makeType of Nix: what a path refers to is part of the type, a
// reference to itself as "self" at the end.
func withReferences(kind, self string, refs []string) string {
	refersToItself := ""
	for _, r := range refs {
		if r == self {
			refersToItself = ":self"
			continue
		}
		kind += ":" + r
	}
	return kind + refersToItself
}

// makeHash is makeStorePath of Nix: the SHA-256 of a text that names type, hash,
// store and name, folded to 20 bytes.
// (https://nix.dev/manual/nix/latest/protocols/store-path)
func (p StorePath) makeHash(kind string, hash [sha256.Size]byte) string {
	store := strings.TrimSuffix(p.Store, "/")
	sum := sha256.Sum256([]byte(kind + ":sha256:" + hex.EncodeToString(hash[:]) + ":" + store + ":" + p.Name))
	folded := make([]byte, 20)
	for i, b := range sum {
		folded[i%len(folded)] ^= b
	}
	return nixbase32.EncodeToString(folded)
}

// hashSizes of the algorithms of content addresses, in bytes.
var hashSizes = map[string]int{"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "blake3": 32}

// parseSum reads a hash in base 32 or base 16.
func parseSum(algorithm, digits string) ([]byte, error) {
	size := hashSizes[algorithm]
	sum, err := hex.DecodeString(digits)
	if len(digits) == nixbase32.EncodedLen(size) {
		sum, err = nixbase32.DecodeString(digits)
	}
	if size == 0 || len(sum) != size {
		err = cmp.Or(err, errors.New("not a hash"))
	}
	return sum, err
}
