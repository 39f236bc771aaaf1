package collect

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nix-community/go-nix/pkg/derivation"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// A Recipe is a derivation in a store on this machine.
type Recipe struct {
	// Digest is the SHA-256 of its text.
	Digest attestation.Digest
	// Keys are those of its outputs, by the name of the output. An output whose path the
	// recipe fixes has that path as its key, as caches and other builders name it;
	// <recipe>^<output> is the key only of one whose path follows from its content.
	Keys map[string]string

	logical string // the directory of the store in the names of its paths
	real    string // where that is on this machine
	path    string // its own, in the store
	drv     *derivation.Derivation
}

// ReadRecipe reads a recipe. store is the URI of the Nix store that it is in, "" for the
// usual one. Recipes whose outputs say nothing about reproducibility are [ErrNotEvidence].
func ReadRecipe(e *ecosystem.Ecosystem, recipe, store string) (*Recipe, error) {
	r, err := readRecipe(e, recipe, store)
	if err != nil {
		return nil, err
	}
	if reason := notEvidence(r.drv); reason != "" {
		return nil, fmt.Errorf("%s: %w: %s", recipe, ErrNotEvidence, reason)
	}
	return r, nil
}

// ReadInput reads the recipe of another's input, which may be any, also a fixed-output one.
func ReadInput(recipe, store string) (*Recipe, error) {
	return readRecipe(ecosystem.Of(ecosystem.Nix), recipe, store)
}

func readRecipe(e *ecosystem.Ecosystem, recipe, store string) (*Recipe, error) {
	r := &Recipe{Keys: map[string]string{}, logical: filepath.Clean(e.Store), real: filepath.Clean(e.Store), path: recipe}
	file := recipe
	if e.Name == ecosystem.Nix {
		s, err := openStore(store)
		if err == nil {
			r.real = s.real
			file, err = s.path(recipe)
		}
		if err != nil {
			return nil, fmt.Errorf("reading derivation: %w", err)
		}
	}
	drv, text, err := parseDerivation(file, recipe)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the derivation %s is not on this machine, and without it nothing says which store paths its outputs have", recipe)
	}
	if err != nil {
		return nil, err
	}
	r.drv = drv
	r.Digest = sha256.Sum256(text)
	for name, output := range drv.Outputs {
		r.Keys[name] = output.Path
		if floating(output) {
			r.Keys[name] = e.Key(recipe, name)
		}
	}
	return r, nil
}

// OutputNames lists the names of the outputs for people.
func (r *Recipe) OutputNames() string {
	return strings.Join(slices.Sorted(maps.Keys(r.Keys)), ", ")
}

// maxLinks bounds the links that lead from one to the next.
const maxLinks = 40

// OutputDigest returns the NAR hash of an output, or of what was kept of another build of
// it ("….check"): the digest of every output in a store, also of one that is a file. A link
// to an output, as nix-build leaves it ("result"), is followed; what lies directly in the
// store is the output, also where that is a link.
func (r *Recipe) OutputDigest(path string) (attestation.Digest, error) {
	path = filepath.Clean(path) // with a slash at its end a link would be followed
	for range maxLinks {
		if r.inStore(path) {
			return narDigest(path)
		}
		info, err := os.Lstat(path)
		if err != nil {
			return attestation.Digest{}, err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			return narDigest(path)
		}
		to, err := os.Readlink(path)
		if err != nil {
			return attestation.Digest{}, err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(resolved(filepath.Dir(path)), to)
		}
		// A store that lies elsewhere on this machine makes links to the usual place.
		if to = filepath.Clean(to); filepath.Dir(to) == r.logical {
			to = filepath.Join(r.real, filepath.Base(to))
		}
		path = to
	}
	return attestation.Digest{}, fmt.Errorf("%s: more than %d links lead to it", path, maxLinks)
}

// inStore reports whether a path lies directly in the store.
func (r *Recipe) inStore(path string) bool {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return false
	}
	return dir == r.logical || resolved(dir) == resolved(r.real)
}

// resolved is a directory without links, or as it is where that is not known.
func resolved(dir string) string {
	if to, err := filepath.EvalSymlinks(dir); err == nil {
		return to
	}
	return dir
}
