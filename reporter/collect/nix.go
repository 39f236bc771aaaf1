package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nix-community/go-nix/pkg/derivation"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/reporter/spool"
)

// A NixBuild is what Nix tells its post-build hook.
type NixBuild struct {
	Drv      string   // DRV_PATH
	OutPaths []string // OUT_PATHS; may be empty, and need not name every output
	Config   string   // NIX_CONFIG
	// Store is the store's URI where Config names none.
	Store string
	// Cache is a directory for what is slow to find out again; may be empty.
	Cache string
}

// ErrNotEvidence is wrapped by [Nix] for builds that say nothing about
// reproducibility.
var ErrNotEvidence = errors.New("no evidence")

// Nix returns the record of a build that has just ended. Fixed-output and impure
// derivations, and outputs that another machine built, are [ErrNotEvidence].
func Nix(ctx context.Context, b NixBuild) (*spool.Record, error) {
	config := settings(b.Config)
	uri := b.Store
	if configured, ok := config["store"]; ok {
		uri = configured
	}
	store, err := openStore(uri)
	if err != nil {
		return nil, err
	}
	drv, err := readDerivation(store, b.Drv)
	if err != nil {
		return nil, err
	}
	if reason := notEvidence(drv); reason != "" {
		return nil, fmt.Errorf("%s: %w: %s", b.Drv, ErrNotEvidence, reason)
	}
	now := time.Now().UTC().Truncate(time.Second)
	r := &spool.Record{
		Type: attestation.Rebuild, Ecosystem: ecosystem.Nix, DigestKind: attestation.NAR, Build: b.Drv,
		Finished: now, Occasion: attestation.OccasionBuild, Environment: nixEnvironment(ctx, drv.Platform, config, store, b.Cache),
	}
	db, err := openDatabase(store)
	if unreadable(err) {
		return r, hashOutputs(r, store, drv, b)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the Nix database: %w", err)
	}
	defer db.Close()
	if err := registeredOutputs(ctx, r, db, drv, now); err != nil {
		return nil, err
	}
	inputs, err := db.closure(ctx, drv.InputSources, drv.InputDerivations)
	if errors.Is(err, errInputs) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, i := range inputs {
		fmt.Fprintf(h, "%s %s\n", i.path, i.digest.Hex())
	}
	r.InputsDigest = attestation.Digest(h.Sum(nil))
	return r, nil
}

func readDerivation(store *nixStore, path string) (*derivation.Derivation, error) {
	file, err := store.path(path)
	if err != nil {
		return nil, fmt.Errorf("reading derivation: %w", err)
	}
	drv, _, err := parseDerivation(file, path)
	return drv, err
}

// parseDerivation reads a derivation from a file, and returns its text too.
func parseDerivation(file, path string) (drv *derivation.Derivation, text []byte, err error) {
	if text, err = os.ReadFile(file); err != nil {
		return nil, nil, fmt.Errorf("reading derivation: %w", err)
	}
	// The parser's own validation knows no content-addressed derivations with
	// several outputs; what it read is complete nevertheless.
	if drv, err = derivation.ReadDerivation(bytes.NewReader(text)); drv == nil {
		return nil, nil, fmt.Errorf("reading derivation %s: %w", path, err)
	}
	return drv, text, nil
}

// notEvidence tells why outputs of a derivation are not to be compared.
func notEvidence(drv *derivation.Derivation) string {
	for _, output := range drv.Outputs {
		switch {
		case output.Hash == "impure":
			return "its output may differ by design (impure)"
		case output.Hash != "":
			return "its output is fixed by a hash"
		case output.HashAlgorithm == "" && output.Path == "":
			return "its outputs are not known before its inputs are"
		}
	}
	return ""
}

// floating tells that the outputs' paths follow from their contents.
func floating(output *derivation.Output) bool { return output.Path == "" }

// registeredOutputs adds the outputs that this machine built, as the database
// has them.
func registeredOutputs(ctx context.Context, r *spool.Record, db *database, drv *derivation.Derivation, now time.Time) error {
	known, err := db.outputs(ctx, r.Build, drv)
	if err != nil {
		return err
	}
	elsewhere := 0
	for _, name := range slices.Sorted(maps.Keys(drv.Outputs)) {
		key := drv.Outputs[name].Path
		if floating(drv.Outputs[name]) {
			key = ecosystem.Of(r.Ecosystem).Key(r.Build, name)
		}
		registered, ok := known[name]
		switch {
		case !ok:
		case !registered.ultimate:
			elsewhere++
		default:
			r.Outputs = append(r.Outputs, spool.Output{Key: key, Digest: registered.digest})
			if now.Sub(registered.registered) > checkAge {
				r.Occasion = attestation.OccasionRebuild
			}
		}
	}
	if len(r.Outputs) > 0 {
		return nil
	}
	if elsewhere > 0 {
		return fmt.Errorf("%s: %w: another machine built it", r.Build, ErrNotEvidence)
	}
	return fmt.Errorf("%s: no output of it is registered in the store", r.Build)
}

// checkAge tells a build from a check of an earlier one: Nix registers a new
// output just before the hook runs, and leaves the registration of one that it
// checked as it was.
const checkAge = time.Minute

// outputName is what follows the hash in the store path of an output: "name" or
// "name-output".
func outputName(drv, output string) string {
	name := strings.TrimSuffix(storeName(drv), ".drv")
	if output == "out" {
		return name
	}
	return name + "-" + output
}

// newest returns the path registered last among those whose name after the hash
// is the given one.
func newest(known map[string]registration, called string) (registration, bool) {
	var found registration
	for path, r := range known {
		if storeName(path) == called && (found.path == "" || r.registered.After(found.registered)) {
			found = r
		}
	}
	return found, found.path != ""
}

// hashOutputs adds the outputs where no database can be read.
func hashOutputs(r *spool.Record, store *nixStore, drv *derivation.Derivation, b NixBuild) error {
	for _, name := range slices.Sorted(maps.Keys(drv.Outputs)) {
		path := drv.Outputs[name].Path
		key := path
		if floating(drv.Outputs[name]) {
			key = ecosystem.Of(r.Ecosystem).Key(r.Build, name)
			called := outputName(r.Build, name)
			i := slices.IndexFunc(b.OutPaths, func(p string) bool { return storeName(p) == called })
			if i < 0 {
				continue
			}
			path = b.OutPaths[i]
		}
		file, err := store.path(path)
		if err != nil {
			return err
		}
		digest, err := narDigest(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		r.Outputs = append(r.Outputs, spool.Output{Key: key, Digest: digest})
	}
	if len(r.Outputs) == 0 {
		return fmt.Errorf("%s: none of its outputs is there", r.Build)
	}
	return nil
}
