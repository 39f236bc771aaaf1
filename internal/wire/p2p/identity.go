package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/libp2p/go-libp2p/core/crypto"

	"repronet.dev/internal/durable"
)

// loadIdentity reads the key in file, in libp2p's own encoding (the PrivateKey
// message of the libp2p peer ID specification), or makes an Ed25519 key there
// if there is no such file. A file that is there and cannot be used is an error
// and stays as it is: a new key would be a new address, known to no client.
func loadIdentity(file string) (key crypto.PrivKey, created bool, err error) {
	key, err = readIdentity(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key, err = newIdentity()
	if err != nil {
		return nil, false, err
	}
	encoded, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, false, fmt.Errorf("encoding libp2p key: %w", err)
	}
	if err := durable.WriteFile(file, encoded, 0o600); err != nil {
		return nil, false, fmt.Errorf("making libp2p key: %w", err)
	}
	return key, true, nil
}

func newIdentity() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making libp2p key: %w", err)
	}
	return key, nil
}

func readIdentity(file string) (crypto.PrivKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading libp2p key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("libp2p key %s can be read by others (mode %04o): run chmod 600 on it, or make a new one by removing it if others may have seen it", file, info.Mode().Perm())
	}
	encoded, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading libp2p key: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(encoded)
	if err != nil {
		return nil, fmt.Errorf("libp2p key %s is damaged (%w): restore it from a backup, or remove it and give the new address to the reporters", file, err)
	}
	return key, nil
}
