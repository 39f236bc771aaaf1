package collect

import (
	"context"
	"fmt"

	"repronet.dev/attestation"
)

// Registered returns the digest that a Nix store has registered of a store path, and where
// the path is on this machine. ok is false for one that the store does not have.
func Registered(ctx context.Context, store, path string) (digest attestation.Digest, file string, ok bool, err error) {
	if storeName(path) == "" {
		return digest, "", false, nil
	}
	s, err := openStore(store)
	if err != nil {
		return digest, "", false, err
	}
	db, err := openDatabase(s)
	if err != nil {
		return digest, "", false, fmt.Errorf("opening the Nix database: %w", err)
	}
	defer db.Close()
	known, err := db.registrations(ctx, []string{path})
	if err != nil {
		return digest, "", false, err
	}
	registered, ok := known[path]
	if !ok {
		return digest, "", false, nil
	}
	file, err = s.path(path)
	return registered.digest, file, err == nil, err
}
