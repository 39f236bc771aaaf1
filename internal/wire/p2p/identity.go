package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
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
	if err := writeSecret(file, encoded); err != nil {
		return nil, false, fmt.Errorf("writing libp2p key: %w", err)
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

// writeSecret writes a new file of mode 0600 durably: after a crash it is there
// whole or not at all.
func writeSecret(file string, data []byte) (err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, ".p2p-key-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
