package chdb

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libraryEnv names the environment variable that overrides where Find looks.
const libraryEnv = "REPRONET_ENGINE"

var (
	// ErrNoLibrary says that libchdb.so was not found or is not loadable here. Its text says what
	// to run.
	ErrNoLibrary = errors.New("the ClickHouse engine (libchdb.so) is missing")
	// ErrUnsupported says that no engine exists for this operating system, processor or C library.
	ErrUnsupported = errors.New("the embedded ClickHouse engine does not run on this platform")
)

// Find returns the path of the engine's library. It looks at $REPRONET_ENGINE (a file, or a
// directory that holds it); beside the running executable, in ../lib/repronet, ../lib and ../engine; and in the
// engine directory of the working directory and of every directory above it, so that a test in any
// package of a checkout finds it.
func Find() (string, error) {
	if err := supported(); err != nil {
		return "", err
	}
	if set := os.Getenv(libraryEnv); set != "" {
		if path, ok := libraryAt(set); ok {
			return path, nil
		}
		return "", fmt.Errorf("%w: $%s names %q, where there is no libchdb.so", ErrNoLibrary, libraryEnv, set)
	}
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		for _, beside := range []string{".", "../lib/repronet", "../lib", ".."} {
			if path, ok := libraryAt(filepath.Join(dir, beside)); ok {
				return path, nil
			}
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("%w: finding the working directory: %w", ErrNoLibrary, err)
	}
	for {
		if path, ok := libraryAt(dir); ok {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%w: run `make engine` in the checkout, or set $%s to the path of libchdb.so", ErrNoLibrary, libraryEnv)
		}
		dir = parent
	}
}

// libraryAt returns the library that path is, or that lies in the directory path, directly or
// where npm puts it below an engine directory.
func libraryAt(path string) (string, bool) {
	installed := filepath.Join("node_modules", "@chdb", npmPackage(), libraryName)
	for _, candidate := range []string{
		path,
		filepath.Join(path, libraryName),
		filepath.Join(path, installed),
		filepath.Join(path, "engine", libraryName),
		filepath.Join(path, "engine", installed),
	} {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate, true
		}
	}
	return "", false
}

const libraryName = "libchdb.so"

func npmPackage() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return "lib-" + runtime.GOOS + "-" + arch + "-gnu"
}

// supported tells early and in words what dlopen would tell late and in symbols.
func supported() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return fmt.Errorf("%w: it exists for linux on amd64 and arm64, and this is %s on %s; point the database URL at a ClickHouse server instead",
			ErrUnsupported, runtime.GOOS, runtime.GOARCH)
	}
	if loader := elfInterpreter("/proc/self/exe"); bytes.Contains(loader, []byte("musl")) {
		return fmt.Errorf("%w: it needs the GNU C library, and this program runs on musl (%s); use a glibc image (Debian, Ubuntu, Fedora, …) or point the database URL at a ClickHouse server",
			ErrUnsupported, loader)
	}
	return nil
}

// elfInterpreter returns the dynamic loader that the ELF file at path asks for, or nothing.
func elfInterpreter(path string) []byte {
	file, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	section := file.Section(".interp")
	if section == nil {
		return nil
	}
	loader, err := section.Data()
	if err != nil {
		return nil
	}
	return bytes.TrimRight(loader, "\x00")
}

// library is the part of libchdb's C interface (chdb.h of release 26.7) that this package uses.
// An unsafe.Pointer is a handle or memory of the library; nothing of Go's is kept by it after a
// call returns.
type library struct {
	setSignalHandlers func(enabled int32)
	version           func() string

	connect   func(argc int32, argv *unsafe.Pointer) unsafe.Pointer
	closeConn func(conn unsafe.Pointer)

	query       func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr, names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) unsafe.Pointer
	streamQuery func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr, names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) unsafe.Pointer
	streamFetch func(conn, stream unsafe.Pointer) unsafe.Pointer
	streamStop  func(conn, stream unsafe.Pointer)

	insert        func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr) unsafe.Pointer
	insertAppend  func(stream unsafe.Pointer, data *byte, size uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertError   func(stream unsafe.Pointer) string
	insertDestroy func(stream unsafe.Pointer)

	resultBuffer  func(result unsafe.Pointer) unsafe.Pointer
	resultLength  func(result unsafe.Pointer) uintptr
	resultError   func(result unsafe.Pointer) string
	resultDestroy func(result unsafe.Pointer)

	classify func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, database *byte, databaseLen uintptr, analysis *analysis) int32
}

// analysis is chdb_query_analysis_v1.
type analysis struct {
	structSize     uint32
	statementCount uint32
	_              uint32 // flags
	class          uint32
}

// queryClass is chdb_query_class: what a statement does to state that outlives it.
type queryClass uint32

const (
	classReadOnly queryClass = iota
	classMutating
	classMutatingGlobal
	classControl // SET, USE, temporary tables, SYSTEM, BACKUP, KILL, …
	classUnknown
)

// loadLibrary loads the library and switches its signal handlers off: with them on, recovering a
// nil dereference in Go hangs the process.
func loadLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("%w: loading %s: %w", ErrNoLibrary, path, err)
	}
	lib := &library{}
	for _, symbol := range []struct {
		name string
		fn   any
	}{
		{"chdb_set_signal_handlers_enabled", &lib.setSignalHandlers},
		{"chdb_version", &lib.version},
		{"chdb_connect", &lib.connect},
		{"chdb_close_conn", &lib.closeConn},
		{"chdb_query_with_params_n", &lib.query},
		{"chdb_stream_query_with_params_n", &lib.streamQuery},
		{"chdb_stream_fetch_result", &lib.streamFetch},
		{"chdb_stream_cancel_query", &lib.streamStop},
		{"chdb_stream_insert_n", &lib.insert},
		{"chdb_stream_append", &lib.insertAppend},
		{"chdb_stream_done", &lib.insertDone},
		{"chdb_stream_insert_error", &lib.insertError},
		{"chdb_destroy_insert_stream", &lib.insertDestroy},
		{"chdb_result_buffer", &lib.resultBuffer},
		{"chdb_result_length", &lib.resultLength},
		{"chdb_result_error", &lib.resultError},
		{"chdb_destroy_query_result", &lib.resultDestroy},
		{"chdb_classify_query_n", &lib.classify},
	} {
		address, err := purego.Dlsym(handle, symbol.name)
		if err != nil {
			return nil, fmt.Errorf("%w: %s has no %s: it is another version; run `make engine`", ErrNoLibrary, path, symbol.name)
		}
		purego.RegisterFunc(symbol.fn, address)
	}
	lib.setSignalHandlers(0)
	return lib, nil
}
