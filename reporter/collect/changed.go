package collect

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// granularity is how far a file system's times may be behind the clock: the kernel
// stamps files with the time of its last tick.
const granularity = 20 * time.Millisecond

var errChanged = errors.New("changed")

// ChangedSince reports whether a file, or anything in a directory, was made or
// changed after a time. It goes by the times at which the file system changed the
// inodes: builds set those of contents to what they like.
func ChangedSince(path string, t time.Time) (bool, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, err
	}
	err = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && !changeTime(info).Before(t.Add(-granularity)) {
			err = errChanged
		}
		return err
	})
	if errors.Is(err, errChanged) {
		return true, nil
	}
	return false, err
}
