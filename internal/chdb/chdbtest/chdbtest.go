// Package chdbtest gives tests a real ClickHouse: one embedded engine in a test process, one
// fresh database for each test.
//
//	conn, err := clickhouse.Open(chdbtest.Database(t))
//
// With the environment variable REPRONET_TEST_CLICKHOUSE=http or native, the database is that of a
// real server, one for each test process, over that protocol and with no more rights than the
// aggregator needs.
//
// Where the engine's library is missing, the test is skipped and says so on standard error; where
// the environment variable CI is set, it fails.
package chdbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/internal/chdb"
	"repronet.dev/internal/needtest"
)

// shared is the process's engine. The library can have only one data directory open at a time.
var shared = sync.OnceValues(open)

// databases numbers the databases of the process.
var databases atomic.Int64

// Open returns the engine of this test process. It must not be closed: it ends with the process,
// and its data with it.
func Open(t testing.TB) *chdb.Engine {
	t.Helper()
	engine, err := shared()
	switch {
	case err == nil:
		return engine.Engine
	case errors.Is(err, chdb.ErrNoLibrary), errors.Is(err, chdb.ErrUnsupported):
		needtest.Lacking(t, err.Error())
	default:
		t.Fatalf("opening the ClickHouse engine for tests: %v", err)
	}
	return nil
}

// Library returns the path of the engine's library, for tests that run programs with it.
func Library(t testing.TB) string {
	t.Helper()
	path, err := chdb.Find()
	if err != nil {
		needtest.Lacking(t, err.Error())
	}
	return path
}

// Exit ends the test process with what m.Run returned:
//
//	func TestMain(m *testing.M) { chdbtest.Exit(m.Run()) }
//
// With the race detector, os.Exit runs the destructors of the engine's library
// while its threads are at work, and the process may end in a segmentation fault
// though all tests passed.
func Exit(status int) { syscall.Exit(status) }

// Database makes a database for this test and returns the options of a connection to it; its name
// is in Auth.Database. It is dropped when the test ends.
func Database(t testing.TB) *clickhouse.Options {
	t.Helper()
	name := fmt.Sprintf("test_%d_%s", databases.Add(1), strings.Map(identifier, t.Name()))
	options := optionsFor(t)
	admin, err := clickhouse.Open(options)
	if err != nil {
		t.Fatalf("connecting to ClickHouse: %v", err)
	}
	if err := admin.Exec(t.Context(), "CREATE DATABASE "+name+" ENGINE = Atomic"); err != nil {
		t.Fatalf("making a database for the test: %v", err)
	}
	ended := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := admin.Exec(ended, "DROP DATABASE "+name+" SYNC"); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
		if err := admin.Close(); err != nil {
			t.Errorf("disconnecting from ClickHouse: %v", err)
		}
	})
	options = optionsFor(t)
	options.Auth.Database = name
	return options
}

// Through has send stand between the connections of options and ClickHouse: it gets each request,
// and who answers it. The connections speak HTTP.
func Through(t testing.TB, options *clickhouse.Options, send func(to http.RoundTripper, r *http.Request) (*http.Response, error)) {
	t.Helper()
	if options.Protocol == clickhouse.Native {
		options.Protocol, options.Addr = clickhouse.HTTP, []string{Server(t).Address(clickhouse.HTTP)}
	}
	before := options.TransportFunc
	options.TransportFunc = func(transport *http.Transport) (http.RoundTripper, error) {
		var to http.RoundTripper = transport
		if before != nil {
			var err error
			if to, err = before(transport); err != nil {
				return nil, err
			}
		}
		return between(func(r *http.Request) (*http.Response, error) { return send(to, r) }), nil
	}
}

// between is an [http.RoundTripper] that is a function.
type between func(*http.Request) (*http.Response, error)

func (b between) RoundTrip(r *http.Request) (*http.Response, error) { return b(r) }

// optionsFor returns the options of a connection to no database.
func optionsFor(t testing.TB) *clickhouse.Options {
	t.Helper()
	if protocol, served := served(t); served {
		return Server(t).Options(protocol, "")
	}
	return Open(t).Options("")
}

// served says over which protocol tests' databases are those of a server, if they are.
func served(t testing.TB) (protocol clickhouse.Protocol, served bool) {
	t.Helper()
	switch name := os.Getenv(protocolEnv); name {
	case "":
		return 0, false
	case "http":
		return clickhouse.HTTP, true
	case "native":
		return clickhouse.Native, true
	default:
		t.Fatalf("$%s is %q: want http or native", protocolEnv, name)
		return 0, false
	}
}

// Settings are the arguments of a server program for a database of tests that has a name.
func Settings(t testing.TB, name string) []string {
	t.Helper()
	if protocol, served := served(t); served {
		return []string{"--clickhouse", Server(t).URL(protocol, "repronet_"+name)}
	}
	return nil
}

// identifier maps a rune to what may stand in an unquoted name.
func identifier(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

// process is an engine with what has to live as long as it: the pipe to its janitor.
type process struct {
	*chdb.Engine
	directory string // of its data
	janitor   io.WriteCloser
}

// open starts the engine on a temporary directory.
func open() (process, error) {
	if _, err := chdb.Find(); err != nil {
		return process{}, err
	}
	directory, janitor, err := temporary()
	if err != nil {
		return process{}, err
	}
	engine, err := chdb.Open(context.Background(), chdb.Config{Path: directory, MaxServerMemory: 4 << 30})
	return process{engine, directory, janitor}, err
}

// temporary makes a directory that a janitor process removes when its standard input ends, that
// is when this process has ended, however it did.
func temporary() (directory string, pipe io.WriteCloser, err error) {
	directory, err = os.MkdirTemp("", "chdbtest-")
	if err != nil {
		return "", nil, err
	}
	janitor := exec.Command("sh", "-c", `read -r _; sleep 1; rm -rf -- "$1"`, "janitor", directory)
	janitor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is not for it
	if pipe, err = janitor.StdinPipe(); err != nil {
		return "", nil, err
	}
	return directory, pipe, janitor.Start()
}

// Backup lets ClickHouse restore from an archive that BACKUP made, and returns the name for it in
// RESTORE … FROM File('name').
func Backup(t testing.TB, name string, archive []byte) string {
	t.Helper()
	directory := ""
	if os.Getenv(protocolEnv) == "" {
		Open(t)
		engine, _ := shared()
		directory = engine.directory
	} else {
		directory = Server(t).Data()
	}
	directory = filepath.Join(directory, "backups")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatalf("giving ClickHouse a backup: %v", err)
	}
	if err := os.WriteFile(filepath.Join(directory, name), archive, 0o600); err != nil {
		t.Fatalf("giving ClickHouse a backup: %v", err)
	}
	return name
}

// Admin returns the options of a connection that may do everything, to the database of options.
func Admin(t testing.TB, options *clickhouse.Options) *clickhouse.Options {
	t.Helper()
	if os.Getenv(protocolEnv) == "" {
		return options
	}
	admin := Server(t).AdminOptions(options.Protocol)
	admin.Auth.Database = options.Auth.Database
	return admin
}
