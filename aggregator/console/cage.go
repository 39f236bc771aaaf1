package console

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNoCage says that the kernel cannot keep a worker from files.
var ErrNoCage = errors.New("the kernel has no Landlock (Linux 5.13 or later, with landlock among its security modules)")

// A reach is what a worker may do below a path.
type reach struct {
	path  string
	write bool // and not only read
}

const (
	readRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// fileRights are those that a path which is no directory can have.
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// firstRights are those of the first version of Landlock.
	firstRights = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
)

// systemPaths have the program's and the engine's libraries, and what they read of the
// machine. Of /proc only the process itself, and what says how large the machine is: other
// processes' arguments, which may hold passwords, stay out of reach.
var systemPaths = []string{
	"/usr", "/lib", "/lib64", "/bin", "/nix/store", "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom",
	"/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/sys/devices/system/cpu", "/sys/fs/cgroup",
}

// enteredVariable is set in the environment of a program that is in its cage.
const enteredVariable = "REPRONET_SQL_WORKER"

// enter starts this program anew, with the same arguments, in a cage: it can reach nothing but
// the given paths and the system's. Landlock holds for the thread that asks for it and for what
// that starts, which is why the program has to be started anew. It returns only with an error.
func enter(may []reach) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := yield(); err != nil {
		return err
	}
	if err := restrict(append(may, reach{path: program})); err != nil {
		return err
	}
	if err := unix.Exec(program, os.Args, append(os.Environ(), enteredVariable+"=1")); err != nil {
		return fmt.Errorf("starting in the cage: %w", err)
	}
	return nil
}

// workerNice has pages and indexing go before questions on a busy machine.
const workerNice = 3

// yield has the kernel give the processor to others first, and take memory from this process
// first.
func yield() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, workerNice); err != nil {
		return fmt.Errorf("lowering the priority: %w", err)
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return fmt.Errorf("lowering the priority: %w", err)
	}
	return nil
}

// landlocked returns the version of the kernel's Landlock.
func landlocked() (int, error) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, fmt.Errorf("%w: %w", ErrNoCage, errno)
	}
	return int(version), nil
}

// restrict keeps the calling thread, and what it starts, from everything else.
func restrict(may []reach) error {
	version, err := landlocked()
	if err != nil {
		return err
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: firstRights}
	if version >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("making a Landlock ruleset: %w", errno)
	}
	defer unix.Close(int(ruleset))
	for _, r := range append(systemReach(), may...) {
		if err := r.add(int(ruleset), attr.Handled_access_fs); err != nil {
			return fmt.Errorf("allowing %s: %w", r.path, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return fmt.Errorf("restricting the thread: %w", errno)
	}
	return nil
}

// systemReach are those of systemPaths that this machine has.
func systemReach() []reach {
	var all []reach
	for _, path := range systemPaths {
		if _, err := os.Stat(path); err == nil {
			all = append(all, reach{path: path})
		}
	}
	return all
}

func (r reach) add(ruleset int, handled uint64) error {
	fd, err := unix.Open(r.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	rights := uint64(readRights)
	if r.write {
		rights = handled
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
