package servertest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The environment of a test's program that is run to be a server.
const (
	directoryEnv = "REPRONET_TEST_SERVER_DIRECTORY"
	libraryEnv   = "REPRONET_TEST_SERVER_LIBRARY"
)

// A test's program that [Server.Restart] runs again is a server, and nothing else.
func init() { //nolint:gochecknoinits // before the program's own main or any test
	if dir := os.Getenv(directoryEnv); dir != "" {
		if err := serve(dir, os.Getenv(libraryEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

// serve runs the library's clickhouse-local with open ports, until the other end of a pipe in
// the directory is closed.
func serve(dir, library string) error {
	runtime.LockOSThread()
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return err
	}
	var setSignalHandlers func(enabled int32)
	var run func(argc int32, argv *unsafe.Pointer) *result
	purego.RegisterLibFunc(&setSignalHandlers, handle, "chdb_set_signal_handlers_enabled")
	purego.RegisterLibFunc(&run, handle, "query_stable_v2")
	setSignalHandlers(0)
	args := []string{
		"clickhouse", "--config-file=" + filepath.Join(dir, "config.xml"), "--path=" + filepath.Join(dir, "data"),
		"--query=SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM file('" + filepath.Join(dir, "running") + "', LineAsString, 'x String')",
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	argv := make([]unsafe.Pointer, 0, len(args)+1)
	for _, arg := range args {
		text := append([]byte(arg), 0)
		pinner.Pin(&text[0])
		argv = append(argv, unsafe.Pointer(&text[0]))
	}
	argv = append(argv, nil)
	pinner.Pin(&argv[0])
	return fmt.Errorf("the ClickHouse server in %s ended: %s", dir, run(int32(len(args)), &argv[0]))
}

// result is local_result_v2 of chdb.h.
type result struct {
	_     [6]uint64
	error *byte
}

func (r *result) String() string {
	if r == nil || r.error == nil {
		return "no error"
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(r.error), n)) != 0 {
		n++
	}
	return unsafe.String(r.error, n)
}
