package rebuild

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// prefix is what the names of the stores' directories begin with.
const prefix = "repronet-rebuild-"

// lock holds a store's directory until it is closed, or the process ends.
func lock(root string) (*os.File, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// sweep deletes the stores in a directory that a killed process of this user left there.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking for what earlier builds left: %w", err)
	}
	for _, entry := range entries {
		root := filepath.Join(dir, entry.Name())
		info, err := os.Lstat(root)
		if !strings.HasPrefix(entry.Name(), prefix) || err != nil || !info.IsDir() || !ours(info) {
			continue
		}
		held, err := lock(root)
		if err != nil {
			continue // in use
		}
		if err := errors.Join(removeStore(root), held.Close()); err != nil {
			return fmt.Errorf("deleting what an earlier build left: %w", err)
		}
	}
	return nil
}

func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// removeStore deletes a Nix store, whose directories Nix has made unwritable.
func removeStore(root string) error {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o700) //nolint:gosec // a directory
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(root))
}
