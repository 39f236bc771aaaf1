package chdb_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/internal/chdb"
	"repronet.dev/internal/chdb/chdbtest"
)

// TestMain lets the test binary be a second process beside the one that tests.
func TestMain(m *testing.M) {
	for variable, role := range map[string]func(path string){
		openingChild:   openOnce,
		insertingChild: insertForever,
		countingChild:  countOnce,
		closingChild:   closeOnce,
	} {
		if path := os.Getenv(variable); path != "" {
			role(path)
			return
		}
	}
	chdbtest.Exit(m.Run())
}

// open connects to a fresh database of the embedded engine.
func open(t testing.TB) driver.Conn {
	t.Helper()
	return dial(t, chdbtest.Database(t))
}

// served connects to a fresh database over a socket, with nothing of this package in the client.
func served(t testing.TB) driver.Conn {
	t.Helper()
	server := httptest.NewServer(chdbtest.Open(t).Handler())
	t.Cleanup(server.Close)
	return dial(t, &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{server.Listener.Addr().String()},
		Auth:     chdbtest.Database(t).Auth,
	})
}

func dial(t testing.TB, options *clickhouse.Options) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// inBothModes runs a test against the engine in the process and over a socket.
func inBothModes(t *testing.T, test func(t *testing.T, conn driver.Conn)) {
	t.Run("embedded", func(t *testing.T) { test(t, open(t)) })
	t.Run("served", func(t *testing.T) { test(t, served(t)) })
}

func exec1(t testing.TB, conn driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// get returns the one value that a query gives.
func get[T any](t testing.TB, ctx context.Context, conn driver.Conn, sql string, args ...any) T {
	t.Helper()
	var value T
	if err := conn.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// wantCode fails the test unless err is ClickHouse's exception of the code.
func wantCode(t testing.TB, err error, code int32) {
	t.Helper()
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) || exception.Code != code {
		t.Fatalf("got error %v, want a ClickHouse exception of code %d", err, code)
	}
}

func TestReopenKeepsData(t *testing.T) {
	// An engine of its own would clash with the shared one, so both generations are children.
	path := t.TempDir()
	for generation, want := range []string{"rows 1", "rows 2", "rows 3"} {
		out, err := child(t, openingChild, path).Output()
		if err != nil {
			t.Fatalf("generation %d: %v", generation, err)
		}
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("generation %d says %q, want %q", generation, got, want)
		}
	}
}

func TestOpenInUse(t *testing.T) {
	_ = chdbtest.Open(t)
	path := enginePath(t)
	if _, err := chdb.Open(t.Context(), chdb.Config{Path: path}); !errors.Is(err, chdb.ErrInUse) {
		t.Errorf("opening a directory twice in a process: got %v, want ErrInUse", err)
	}
	out, err := child(t, openingChild, path).CombinedOutput()
	if err == nil {
		t.Fatalf("a second process opened %s", path)
	}
	if want := "process " + strconv.Itoa(os.Getpid()) + " has " + path + " open"; !strings.Contains(string(out), want) {
		t.Errorf("a second process says %q, want it to say %q", out, want)
	}
}

func TestOpenSecondDirectory(t *testing.T) {
	_ = chdbtest.Open(t)
	_, err := chdb.Open(t.Context(), chdb.Config{Path: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "one data directory") {
		t.Errorf("opening a second directory in a process: got %v, want an error that says why not", err)
	}
}

func TestOpenErrors(t *testing.T) {
	_ = chdbtest.Open(t)
	notLibrary := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(notLibrary, []byte("no ELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		config chdb.Config
		want   error
	}{
		{"no library", t.Context(), chdb.Config{Path: t.TempDir(), Library: "/nonexistent/libchdb.so"}, chdb.ErrNoLibrary},
		{"not a library", t.Context(), chdb.Config{Path: t.TempDir(), Library: notLibrary}, chdb.ErrNoLibrary},
		{"ended context", ended, chdb.Config{Path: t.TempDir()}, context.Canceled},
	} {
		if _, err := chdb.Open(test.ctx, test.config); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := chdb.Open(t.Context(), chdb.Config{}); err == nil {
		t.Error("opening without a path succeeded")
	}
}

// enginePath returns the data directory of the shared engine.
func enginePath(t *testing.T) string {
	t.Helper()
	conn := open(t)
	path := get[string](t, t.Context(), conn, "SELECT path FROM system.disks WHERE name = 'default'")
	return filepath.Clean(path)
}

const (
	insertingChild = "CHDB_TEST_INSERT_INTO"
	openingChild   = "CHDB_TEST_OPEN"
	countingChild  = "CHDB_TEST_COUNT"
	closingChild   = "CHDB_TEST_CLOSE"
)

// child is this test binary in another role.
func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	_ = chdbtest.Open(t) // skips where there is no engine
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), executable)
	command.Env = append(os.Environ(), role+"="+path)
	return command
}
