package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"repronet.dev/snapshot"
)

// scratchPrefix begins the names of workers' directories.
const scratchPrefix = "worker-"

// sweep removes what workers of an earlier process left.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, scratchPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// A worker is a process that answers one question.
type worker struct {
	of      Snapshot
	scratch string
	cmd     *exec.Cmd
	in      *os.File // its standard input
	out     *os.File // what it says
	errors  tail     // the end of what it wrote to standard error
	ended   chan struct{}
	stop    func() // ends it and removes its directory
}

// startWorker starts a process and waits until it is ready.
func startWorker(ctx context.Context, config Config, of Snapshot) (*worker, error) {
	var err error
	if of.Dir, err = filepath.Abs(of.Dir); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	scratch, err := os.MkdirTemp(config.Dir, scratchPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	w := &worker{of: of, scratch: scratch, ended: make(chan struct{})}
	w.stop = sync.OnceFunc(w.end)
	if err := w.start(config); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a worker: %w", err), os.RemoveAll(scratch))
	}
	if err := w.ready(ctx, config); err != nil {
		w.stop()
		return nil, fmt.Errorf("starting a worker: %w%s", err, w.errors.said())
	}
	return w, nil
}

// start starts the process.
func (w *worker) start(config Config) (err error) {
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer nowhere.Close()
	input, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer input.Close()
	out, output, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer output.Close()
	args := append(append([]string{}, config.Program[1:]...), w.of.Dir, w.scratch, config.Library)
	w.cmd = exec.Command(config.Program[0], args...) //nolint:noctx // this program; stop ends it
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr, w.cmd.ExtraFiles = input, nowhere, &w.errors, []*os.File{output}
	w.cmd.Env = append([]string{"TZ=UTC"}, config.environment...) // and nothing of the server's
	w.cmd.Dir = w.scratch
	w.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	w.in, w.out = in, out
	if err := w.cmd.Start(); err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	go func() {
		_ = w.cmd.Wait() // how it ended is told by what it said
		close(w.ended)
	}()
	return nil
}

// ready gives the worker its setup and waits until it says that it is ready.
func (w *worker) ready(ctx context.Context, config Config) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	defer w.killedBy(ctx)()
	tables, err := tables(w.of.Dir)
	if err != nil {
		return err
	}
	seconds := int64((startTime + config.Limits.Time).Seconds()) * threads
	if err := writeLine(w.in, setup{config.Library, filepath.Join(w.scratch, "engine"), config.Limits.Memory, seconds, tables}); err != nil {
		return err
	}
	kind, _, err := readFrame(w.out)
	if err == nil && kind != frameReady {
		err = fmt.Errorf("it says %q", kind)
	}
	return errors.Join(context.Cause(ctx), err)
}

// killedBy has the worker killed when a context ends, until what it returns is called.
func (w *worker) killedBy(ctx context.Context) (not func() bool) {
	return context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() }) // it has ended, or ends
}

// lives reports whether the process has not ended.
func (w *worker) lives() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// end kills the process and removes its directory.
func (w *worker) end() {
	_ = w.cmd.Process.Kill() // it has ended, or ends
	_ = w.in.Close()
	_ = w.out.Close()
	<-w.ended
	_ = os.RemoveAll(w.scratch) // what is left is swept at the next start
}

// answer has the worker answer a question, in time or not at all.
func (w *worker) answer(ctx context.Context, asked question, limits Limits, to io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooSlow(limits))
	defer cancel()
	defer w.killedBy(ctx)()
	if err := writeLine(w.in, asked); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	for left := limits.Bytes; ; {
		kind, data, err := readFrame(w.out)
		switch {
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return w.died()
		case err != nil:
			return err
		case kind == frameEnd:
			return nil
		case kind == frameFailed:
			return w.failed(data, limits)
		case kind != frameData:
			return fmt.Errorf("the worker says %q", kind)
		}
		if left -= int64(len(data)); left < 0 {
			return tooLarge(limits)
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
	}
}

// died explains the end of a worker without a result: the kernel ends those that take too
// much memory or time.
func (w *worker) died() error {
	<-w.ended
	if said := w.errors.said(); w.cmd.ProcessState.ExitCode() >= 0 && !strings.Contains(said, "out of memory") {
		return fmt.Errorf("the worker ended: %s%s", w.cmd.ProcessState, said)
	}
	return &LimitError{"it needed more memory or time than there is for a question: ask for less, or for fewer groups"}
}

// Codes of ClickHouse (src/Common/ErrorCodes.cpp) of queries that go over a limit.
const (
	codeTooManyRows = 158
	codeTooSlow     = 159
	codeTooSlowSoon = 160
	codeMemory      = 241
	codeTooLarge    = 396 // TOO_MANY_ROWS_OR_BYTES
	codeAllocate    = 173
)

func tooSlow(limits Limits) error {
	return &LimitError{fmt.Sprintf("it took longer than %s: ask for less, or for fewer groups", limits.Time)}
}

func tooLarge(limits Limits) error {
	return &LimitError{fmt.Sprintf("the result has more than %d rows or %d bytes: add a LIMIT, or take a snapshot's files", limits.Rows, limits.Bytes)}
}

// failed turns what the engine says into an error for who asked.
func (w *worker) failed(data []byte, limits Limits) error {
	var said failure
	if err := json.Unmarshal(data, &said); err != nil {
		return fmt.Errorf("reading why there is no result: %w", err)
	}
	switch said.Code {
	case 0:
		return errors.New(said.Message)
	case codeTooManyRows, codeTooLarge:
		return tooLarge(limits)
	case codeTooSlow, codeTooSlowSoon:
		return tooSlow(limits)
	case codeMemory, codeAllocate:
		return &LimitError{fmt.Sprintf("it needed more than %d bytes of memory: ask for less, or for fewer groups", limits.Memory)}
	}
	return &QueryError{w.reason(said.Message)}
}

// reason is the engine's message without what is its own business: its code, its version, and
// the paths of this machine.
func (w *worker) reason(message string) string {
	_, message, _ = strings.Cut(message, "DB::Exception: ")
	for _, own := range []string{w.scratch, w.of.Dir, database + "."} {
		message = strings.ReplaceAll(message, own, "")
	}
	if i := strings.LastIndex(message, " (version "); i >= 0 {
		message = message[:i]
	}
	return strings.ToValidUTF8(message[:min(len(message), 2000)], "")
}

// tables are the statements that make a table for each view, over a snapshot's files.
func tables(dir string) ([]string, error) {
	statements := []string{"CREATE DATABASE " + database + " ENGINE = Atomic"}
	for _, v := range snapshot.Views() {
		glob := filepath.Join(dir, v.Glob())
		files, err := filepath.Glob(glob)
		if err != nil {
			return nil, err
		}
		engine := "File(Parquet, '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(glob) + "')"
		if len(files) == 0 {
			engine = "Memory"
		}
		columns := make([]string, len(v.Columns))
		for i, c := range v.Columns {
			columns[i] = "`" + c.Name + "` " + columnType(c)
		}
		statements = append(statements, "CREATE TABLE "+database+"."+v.Name+" ("+strings.Join(columns, ", ")+") ENGINE = "+engine)
	}
	return statements, nil
}

// columnType is the engine's type for a column.
func columnType(c snapshot.Column) string {
	t := map[snapshot.Type]string{
		snapshot.String: "String", snapshot.Integer: "UInt64", snapshot.Timestamp: "DateTime64(3, 'UTC')",
		snapshot.Boolean: "Bool", snapshot.Strings: "Array(String)",
	}[c.Type]
	if c.Nullable {
		return "Nullable(" + t + ")"
	}
	return t
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

// Write implements [io.Writer].
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, data...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(data), nil
}

// said is what was written, to be put behind an error.
func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := bytes.TrimSpace(t.text); len(text) > 0 {
		return ": " + string(text)
	}
	return ""
}
