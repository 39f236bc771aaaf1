package collect

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nix-community/go-nix/pkg/derivation"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// FindDerivations returns the derivations in a Nix store that a word means: a derivation's
// own path, the path of an output that the store knows the derivation of, or a name, such
// as "hello-2.12.1", which several may have. It returns none where the store knows none.
func FindDerivations(ctx context.Context, store, word string) ([]string, error) {
	if strings.HasSuffix(word, ".drv") && storeName(word) != "" {
		return []string{word}, nil
	}
	s, err := openStore(store)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(s)
	if err != nil {
		return nil, fmt.Errorf("opening the Nix database: %w", err)
	}
	defer db.Close()
	if storeName(word) != "" {
		return db.strings(ctx, `SELECT deriver FROM ValidPaths WHERE path = ? AND deriver IS NOT NULL`, word)
	}
	// What comes before the name is of one length: the store, a hash, a dash.
	from := len(ecosystem.NixStore) + storeHashLength + len("-") + 1 // SQL counts from 1
	return db.strings(ctx, `SELECT path FROM ValidPaths WHERE substr(path, ?) = ? ORDER BY path`, from, word+".drv")
}

// storeHashLength is how many characters of a store path are its hash.
const storeHashLength = 32

// strings returns the one column of a query.
func (db *database) strings(ctx context.Context, query string, args ...any) (values []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, fmt.Errorf("reading the Nix database: %w", err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	return values, nil
}

// A Made is an output of a recipe that a Nix store has.
type Made struct {
	Output string // its name, such as "out"
	Path   string // in the store
	File   string // where that is on this machine
	Digest attestation.Digest
	Own    bool      // this machine built it; otherwise a cache or another machine did
	At     time.Time // when it was registered first
}

// Made returns the outputs of the recipe that a store has, sorted by their names.
func (r *Recipe) Made(ctx context.Context, store string) ([]Made, error) {
	s, err := openStore(store)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(s)
	if err != nil {
		return nil, fmt.Errorf("opening the Nix database: %w", err)
	}
	defer db.Close()
	known, err := db.outputs(ctx, r.path, r.drv)
	if err != nil {
		return nil, err
	}
	var made []Made
	for _, name := range slices.Sorted(maps.Keys(known)) {
		file, err := s.path(known[name].path)
		if err != nil {
			return nil, err
		}
		made = append(made, Made{
			Output: name, Path: known[name].path, File: file,
			Digest: known[name].digest, Own: known[name].ultimate, At: known[name].registered,
		})
	}
	return made, nil
}

// outputs returns what is registered of the outputs of a derivation, by their names.
func (db *database) outputs(ctx context.Context, path string, drv *derivation.Derivation) (map[string]registration, error) {
	var paths []string
	isFloating := false
	for _, output := range drv.Outputs {
		isFloating = isFloating || floating(output)
		paths = append(paths, output.Path)
	}
	var known map[string]registration
	var err error
	if isFloating {
		known, err = db.derived(ctx, path)
	} else {
		known, err = db.registrations(ctx, paths)
	}
	if err != nil {
		return nil, err
	}
	outputs := map[string]registration{}
	for name, output := range drv.Outputs {
		registered, ok := known[output.Path]
		if isFloating {
			registered, ok = newest(known, outputName(path, name))
		}
		if ok {
			outputs[name] = registered
		}
	}
	return outputs, nil
}

// Inputs returns what a build of the recipe reads: sources, and outputs of other
// derivations by the derivation's path.
func (r *Recipe) Inputs() (sources []string, outputs map[string][]string) {
	return r.drv.InputSources, r.drv.InputDerivations
}

// Platform is the system that the recipe is built on, such as "x86_64-linux".
func (r *Recipe) Platform() string { return r.drv.Platform }

// Unconfined tells why a build of the recipe would not be confined to Nix's sandbox; "" if
// it would.
func (r *Recipe) Unconfined() string {
	if strings.HasPrefix(r.drv.Builder, "builtin:") {
		return "its builder is a part of Nix (" + r.drv.Builder + "), which runs outside of the sandbox"
	}
	if r.drv.Env["__noChroot"] != "" || r.attribute("__noChroot") {
		return "it asks to be built outside of the sandbox (__noChroot)"
	}
	return ""
}

// attribute reports whether a structured attribute of the derivation is set to anything but
// false. Attributes that cannot be read count as set: Nix may read them otherwise.
func (r *Recipe) attribute(name string) bool {
	text, ok := r.drv.Env["__json"]
	if !ok {
		return false
	}
	var attributes map[string]any
	if err := json.Unmarshal([]byte(text), &attributes); err != nil {
		return true
	}
	value, ok := attributes[name]
	return ok && value != false
}

// HasDerivation reports whether a derivation is in a Nix store on this machine.
func HasDerivation(path, store string) bool {
	s, err := openStore(store)
	if err != nil {
		return false
	}
	file, err := s.path(path)
	if err != nil {
		return false
	}
	_, err = os.Stat(file)
	return err == nil
}
