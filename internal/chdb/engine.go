// Package chdb runs ClickHouse inside this process and shows it to the ClickHouse driver as if it
// were a server.
//
// # Model
//
// An [Engine] is the library libchdb (`make engine` fetches it; no cgo is used) opened on one data
// directory. The driver, clickhouse-go, speaks its HTTP protocol to [Engine.Transport] instead of
// to a socket, so that the same driver and the same SQL work on a ClickHouse server: only the
// options differ.
//
//	engine, err := chdb.Open(ctx, chdb.Config{Path: "/var/lib/repronet/clickhouse"})
//	…
//	defer engine.Close()
//	conn, err := clickhouse.Open(engine.Options("repronet"))
//
// What a request sees is what it would see from a server over HTTP:
//
//   - It is on its own. Settings, SET, USE and temporary tables of one request do not reach the
//     next: sessions are reused only between requests of equal database and settings, and an
//     engine connection costs half a millisecond.
//   - One statement in a request; a second one is refused (code 62), and so is none, or only a
//     comment.
//   - A failed statement is a *clickhouse.Exception with ClickHouse's code, also when it fails
//     after the first rows were delivered.
//   - An INSERT batch is executed once its body has arrived, whatever becomes of the context. It
//     makes one part for each partition it touches, and each of these is there as a whole or not
//     at all. It is acknowledged when it is on disk: a process that is killed loses no
//     acknowledged row. (A machine that loses power can, as with a server, unless the fsync
//     settings of MergeTree are on.)
//   - A context that ends makes the call return at once. The engine is then asked to stop the
//     statement, which takes it a moment; meanwhile the statement holds its place in the pool.
//   - Leaving rows unread: cancel their context before closing them, else clickhouse-go reads
//     the result to its end.
//   - A result without rows carries no column names.
//   - A statement that needs more memory than Config.MaxQueryMemory, or than there is, fails with
//     code 241; the process lives.
//
// Not offered: compressed requests, sessions (session_id), external tables. BACKUP and RESTORE
// work on files in the directory backups of the data directory, named relative to it, with the
// suffix .tar: BACKUP DATABASE d TO File('d.tar').
//
// Use a database of your own (CREATE DATABASE … ENGINE = Atomic); the engine's default database is
// an overlay that does not keep what a server's keeps.
//
// # Limits
//
// The library serves one data directory per process, and a directory serves one process: a second
// one gets [ErrInUse]. It exists for Linux with the GNU C library.
//
// # Trust
//
// The author of the SQL can do what this process can: table functions read files and reach
// hosts. Statements of strangers belong in another process.
package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const defaultConnections = 8

var (
	// ErrInUse says that another engine, in another process or in this one, has the data directory
	// open. Its text names the process.
	ErrInUse = errors.New("the data directory is in use")
	// ErrClosed is what a request to a closed engine gets.
	ErrClosed = errors.New("the ClickHouse engine is closed")
)

// Config says how to open an engine. Path is required; the rest may be left zero.
type Config struct {
	// Library is the path of libchdb.so. Empty: what Find finds.
	Library string
	// Path is the data directory. It is made if it does not exist.
	Path string
	// MaxServerMemory bounds what the engine may allocate in all, in bytes.
	// 0: half of the memory of the machine or of the control group, whichever is less.
	MaxServerMemory int64
	// MaxQueryMemory bounds what one statement may allocate, in bytes; the setting
	// max_memory_usage of a request overrides it. 0: half of MaxServerMemory.
	MaxQueryMemory int64
	// Connections is how many statements run in parallel; further ones wait. 0: 8.
	Connections int
	// Logger gets what no caller can be told. Nil: nothing is logged.
	Logger *slog.Logger
}

// Engine is an open engine. Its methods may be called concurrently.
type Engine struct {
	lib    *library
	args   []string // of every connection
	limit  int      // Config.Connections
	path   string
	logger *slog.Logger
	hello  []byte // the answer to the driver's first query

	closing chan struct{} // closed by Close
	tokens  chan struct{} // one for each session that may run

	anchorMu sync.Mutex
	anchor   *session // keeps the engine up, kills statements

	mu     sync.Mutex
	closed bool
	idle   []*session     // most recently used last
	opened int            // sessions made so far: their numbers
	work   sync.WaitGroup // statements; Add under mu while not closed
}

// Open loads the library and opens the data directory. A directory that is in use gives ErrInUse,
// a missing library ErrNoLibrary, a platform without one ErrUnsupported.
func Open(ctx context.Context, config Config) (*Engine, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if config.Path == "" {
		return nil, errors.New("opening the ClickHouse engine: no data directory given")
	}
	path, err := filepath.Abs(config.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the ClickHouse engine: %w", err)
	}
	if err := supported(); err != nil {
		return nil, err
	}
	if config.Library == "" {
		if config.Library, err = Find(); err != nil {
			return nil, err
		}
	}
	if config.Connections <= 0 {
		config.Connections = defaultConnections
	}
	if config.MaxServerMemory <= 0 {
		config.MaxServerMemory = availableMemory() / 2
	}
	if config.MaxQueryMemory <= 0 {
		config.MaxQueryMemory = config.MaxServerMemory / 2
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	backups := filepath.Join(path, "backups")
	if err := os.MkdirAll(backups, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	lib, err := loadLibrary(config.Library)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		lib: lib,
		args: []string{
			"repronet",
			"--path=" + path,
			"--max_server_memory_usage=" + strconv.FormatInt(config.MaxServerMemory, 10),
			"--max_memory_usage=" + strconv.FormatInt(config.MaxQueryMemory, 10),
			"--backups.allowed_path=" + backups,
		},
		limit:   config.Connections,
		path:    path,
		logger:  config.Logger,
		closing: make(chan struct{}),
		tokens:  make(chan struct{}, config.Connections),
	}
	if err := inUse(path); err != nil {
		return nil, err
	}
	e.anchor, err = connect(lib, e.args)
	if err != nil {
		if held := inUse(path); held != nil {
			return nil, held
		}
		return nil, fmt.Errorf("opening %s: %w: a process can have one data directory open at a time; see also what the engine wrote to standard error", path, err)
	}
	if e.hello, err = helloBlock(e.anchor); err != nil {
		e.anchor.close()
		return nil, fmt.Errorf("asking the engine for its version: %w", err)
	}
	return e, nil
}

// Close refuses further requests, waits for the statements that are running and closes the data
// directory. A result that is still being read ends with ErrClosed.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	close(e.closing)
	e.mu.Unlock()

	e.work.Wait()
	for _, s := range e.idle {
		s.close()
	}
	e.anchor.close()
	return nil
}

// inUse returns ErrInUse if another process holds the lock of the data directory: the engine locks the
// file status, into which it writes its process id.
func inUse(path string) error {
	file, err := os.Open(filepath.Join(path, "status"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the data directory's status: %w", err)
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		return nil // closing the file lets go of the lock
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("checking the data directory's lock: %w", err)
	}
	var pid int
	if _, err := fmt.Fscanf(file, "PID: %d", &pid); err != nil {
		return fmt.Errorf("%w: another process has %s open", ErrInUse, path)
	}
	if pid == os.Getpid() {
		return fmt.Errorf("%w: this process already has %s open", ErrInUse, path)
	}
	return fmt.Errorf("%w: process %d has %s open; stop it, or give this one a data directory of its own", ErrInUse, pid, path)
}

// availableMemory returns the bytes of memory of the machine, or of the control group if that
// allows less.
func availableMemory() int64 {
	var info syscall.Sysinfo_t
	memory := int64(8 << 30)
	if err := syscall.Sysinfo(&info); err == nil {
		memory = int64(info.Totalram) * int64(info.Unit)
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			memory = min(memory, limit)
		}
	}
	return memory
}
