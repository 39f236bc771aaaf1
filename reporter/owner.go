package reporter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// ErrNotOwner is wrapped by errors about a directory or program that another user
// could change under the feet of this process.
var ErrNotOwner = errors.New("it is another user's")

// CheckOwner refuses a directory that belongs to another user, or that another user
// could replace or write to: this process would write wherever links in it lead, as root
// anywhere. A directory that is not there passes.
func (h Home) CheckOwner() error {
	uid, found, err := h.owner()
	if err != nil || !found {
		return err
	}
	if euid := os.Geteuid(); uid != euid {
		return fmt.Errorf("%s belongs to %s: %w: run this as %[2]s", h, userName(uid), ErrNotOwner)
	}
	return checkPath(h.path(spoolDir))
}

// BecomeOwner gives up root's rights for those of the directory's owner, for good.
// It is for the hook, which a daemon runs as root for a reporter that has a user of
// its own.
func (h Home) BecomeOwner() error {
	uid, found, err := h.owner()
	if err != nil || !found || os.Geteuid() != 0 || uid == 0 {
		return errors.Join(err, h.CheckOwner())
	}
	gid := uid
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		if n, err := strconv.Atoi(u.Gid); err == nil {
			gid = n
		}
	}
	for _, err := range []error{syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)} {
		if err != nil {
			return fmt.Errorf("becoming %s, the owner of %s: %w", userName(uid), h, err)
		}
	}
	return nil
}

// Owner returns the name of the user who owns the directory.
func (h Home) Owner() string {
	uid, found, err := h.owner()
	if err != nil || !found {
		uid = os.Geteuid()
	}
	return userName(uid)
}

// owner returns who owns the directory itself; a link is none.
func (h Home) owner() (uid int, found bool, err error) {
	info, err := os.Lstat(string(h))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if !info.IsDir() {
		return 0, false, fmt.Errorf("%s is not a directory: name the directory itself", h)
	}
	return ownerOf(info), true, nil
}

// CheckProgram refuses a program for root that another user could replace.
func CheckProgram(path string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return checkPath(resolved)
}

// checkPath refuses a path if someone other than root and this process's user could
// change it or put another in its place, as it is named and where links in it lead. Of a
// path that is yet to be made it checks what there is.
func checkPath(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for at := path; ; at = filepath.Dir(at) {
		resolved, err := filepath.EvalSymlinks(at)
		if errors.Is(err, fs.ErrNotExist) && at != "/" {
			continue // is yet to be made
		}
		if err != nil {
			return err
		}
		if resolved != at {
			if err := checkParts(resolved); err != nil {
				return err
			}
		}
		return checkParts(path)
	}
}

func checkParts(path string) error {
	// A group is often a user's own; root has no reason to rely on that.
	others := fs.FileMode(0o002)
	if os.Geteuid() == 0 {
		others = 0o022
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) && at != "/" {
			if _, err := os.Lstat(at); err == nil {
				return fmt.Errorf("%s is a link that leads nowhere, and who makes what it names could replace %s: %w", at, path, ErrNotOwner)
			}
			continue // is yet to be made
		}
		if err != nil {
			return err
		}
		if uid := ownerOf(info); uid != 0 && uid != os.Geteuid() {
			return fmt.Errorf("%s belongs to %s, who could replace %s: %w", at, userName(uid), path, ErrNotOwner)
		}
		// In a sticky directory only its owner replaces a file.
		if info.Mode().Perm()&others != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("%s may be written by others than %s, who could replace %s: %w: chmod go-w it, or choose another place", at, userName(os.Geteuid()), path, ErrNotOwner)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}
