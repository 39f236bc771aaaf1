package console

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memoryBeside is what a worker may allocate beside what its engine accounts for: the engine's
// own code and tables, and the result on its way out.
const memoryBeside = 2 << 30

// maxScratchFile bounds each file that a worker writes.
const maxScratchFile = 64 << 20

// limit sets what the kernel lets the process have, whatever its engine believes.
func limit(with setup) error {
	for _, l := range []struct {
		resource int
		most     int64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_DATA, with.Memory + memoryBeside},
		{unix.RLIMIT_FSIZE, maxScratchFile},
		{unix.RLIMIT_CPU, with.Seconds},
	} {
		most := uint64(l.most)
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limiting the worker: %w", err)
		}
	}
	return nil
}

// denied are the calls that a worker has no use for once its engine is open: to reach the
// network, to start programs, to look into other processes, and by which kernels were taken
// over.
var denied = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_SENDTO, unix.SYS_SENDMSG,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KILL,
	unix.SYS_IO_URING_SETUP, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT,
	unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_OPEN_BY_HANDLE_AT,
}

// Places in struct seccomp_data (linux/seccomp.h).
const (
	seccompNumber = 0
	seccompArch   = 4
)

// x32Bit marks a second numbering of system calls that x86-64 kernels may have.
const x32Bit = 0x40000000

// seal takes the calls away from all threads of the process, for good.
func seal() error {
	arch := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if arch == 0 {
		return fmt.Errorf("the calls of %s are not known", runtime.GOARCH)
	}
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		answer = unix.BPF_RET | unix.BPF_K
	)
	refuse := unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	filter := []unix.SockFilter{
		{Code: load, K: seccompArch},
		{Code: equal, K: arch, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: seccompNumber},
		{Code: least, K: x32Bit, Jf: 1},
		refuse,
	}
	for _, call := range denied {
		filter = append(filter, unix.SockFilter{Code: equal, K: call, Jf: 1}, refuse)
	}
	filter = append(filter, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	switch {
	case errno != 0:
		return errno
	case thread != 0:
		return fmt.Errorf("thread %d cannot be sealed", thread)
	}
	return nil
}
