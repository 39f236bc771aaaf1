package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"repronet.dev/api"
	"repronet.dev/internal/durable"
	"repronet.dev/snapshot"
)

// Config configures a [Console]. Dir and Library are required.
type Config struct {
	// Dir is where the workers' directories are made. What an earlier process left there of
	// them is removed.
	Dir string
	// Library is the path of libchdb.so.
	Library string
	// Program is how a worker is started, before its arguments; empty: this program with
	// WorkerArgument.
	Program []string
	Limits  Limits
	// Logger gets what those who ask are not told; slog.Default where nil.
	Logger *slog.Logger

	environment []string // of workers; tests take guards away by it
}

// Limits are what a question may cost. A zero field stands for the default.
type Limits struct {
	Time   time.Duration // from the question to the whole result; 20 s
	Memory int64         // bytes of the engine; 1 GiB
	Rows   int64         // of the result; 1,000,000
	Bytes  int64         // of the result; 64 MiB
	// Workers is how many questions are answered at a time; 2.
	Workers int
}

func (l Limits) withDefaults() Limits {
	set := func(to *int64, value int64) {
		if *to == 0 {
			*to = value
		}
	}
	if l.Time == 0 {
		l.Time = 20 * time.Second
	}
	set(&l.Memory, 1<<30)
	set(&l.Rows, 1_000_000)
	set(&l.Bytes, 64<<20)
	if l.Workers == 0 {
		l.Workers = 2
	}
	return l
}

// String is what the header api.SQLLimitsHeader says.
func (l Limits) String() string {
	return fmt.Sprintf("seconds=%g, rows=%d, bytes=%d, memory=%d", l.Time.Seconds(), l.Rows, l.Bytes, l.Memory)
}

const (
	// startTime bounds the start of a worker: the engine's library is 500 MB.
	startTime = 2 * time.Minute
	// idleTime is how long a worker waits for a question.
	idleTime = 5 * time.Minute
	// threads of the engine for a question: another one's, and the pages, want processors too.
	threads = 2
)

// A Snapshot is what questions are answered from.
type Snapshot struct {
	Name    string
	Dir     string // with the files of the views, as package snapshot lays them
	Indexed uint64 // ledger entries that it was made from
}

var (
	// ErrNoSnapshot says that no snapshot was made yet.
	ErrNoSnapshot = errors.New("no snapshot was made yet")
	// ErrClosed says that the server stops.
	ErrClosed = errors.New("the console is closed")
)

// A QueryError is the engine's word against a query: a column that does not exist, types
// that do not fit.
type QueryError struct{ Reason string }

func (e *QueryError) Error() string { return e.Reason }

// A LimitError says which limit a query went over, and what to do.
type LimitError struct{ Reason string }

func (e *LimitError) Error() string { return e.Reason }

// A Console answers questions. It may be used from several goroutines.
type Console struct {
	config  Config
	newest  func() (Snapshot, error)
	views   []string
	places  chan struct{}
	ctx     context.Context // ended by end
	end     context.CancelFunc
	closing sync.Once
	running sync.WaitGroup // the preparing of workers

	mu      sync.Mutex // guards what follows
	waiting *worker    // that has no question yet
	timer   *time.Timer
}

// New returns a console over what newest returns, which may wrap [ErrNoSnapshot]. It fails
// with [ErrNoCage] where the kernel cannot keep questions from files.
func New(config Config, newest func() (Snapshot, error)) (*Console, error) {
	if _, err := landlocked(); err != nil {
		return nil, err
	}
	if len(config.Program) == 0 {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("opening the console: %w", err)
		}
		config.Program = []string{program, WorkerArgument}
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	config.Limits = config.Limits.withDefaults()
	var err error
	if config.Dir, err = filepath.Abs(config.Dir); err == nil { // workers have other working directories
		config.Library, err = filepath.Abs(config.Library)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	if err := durable.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	if err := sweep(config.Dir); err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	c := &Console{config: config, newest: newest, places: make(chan struct{}, config.Limits.Workers)}
	for _, v := range snapshot.Views() {
		c.views = append(c.views, v.Name)
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Limits are what a question may cost.
func (c *Console) Limits() Limits { return c.config.Limits }

// Snapshot is what the next question is going to be answered from.
func (c *Console) Snapshot() (Snapshot, error) { return c.newest() }

// formats are the engine's names of the formats.
var formats = map[api.SQLFormat]string{
	api.SQLJSON: "JSONCompact", api.SQLCSV: "CSVWithNames", api.SQLLines: "JSONEachRow", api.SQLArrow: "Arrow", api.SQLParquet: "Parquet",
}

// Ask answers a question. The result is written as soon as it comes; it is whole only if there
// is no error. The error is a [*SyntaxError], [*QueryError] or [*LimitError] of the question,
// wraps [ErrNoSnapshot] or the context's, or is a fault of the server.
func (c *Console) Ask(ctx context.Context, asked api.SQLQuestion, to io.Writer) (*api.SQLAnswer, error) {
	query, err := Parse(asked.SQL, c.views)
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, question{SQL: query.Text(), Format: formats[asked.Format], Settings: c.settings(asked.Limit), Bytes: c.config.Limits.Bytes}, to)
}

// settings bound a question within its engine.
func (c *Console) settings(rows int) map[string]string {
	l := c.config.Limits
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	settings := map[string]string{
		"max_execution_time": number(int64(l.Time.Seconds()) + 1), "timeout_overflow_mode": "throw",
		"max_memory_usage": number(l.Memory), "max_threads": number(threads),
		"max_result_rows": number(l.Rows), "max_result_bytes": number(l.Bytes), "result_overflow_mode": "throw",
		// Nothing is put aside on the disk: what does not fit into the memory fails.
		"max_bytes_before_external_group_by": "0", "max_bytes_before_external_sort": "0",
		"max_bytes_ratio_before_external_group_by": "0", "max_bytes_ratio_before_external_sort": "0",
		"session_timezone": "UTC", "output_format_write_statistics": "0", "output_format_json_quote_64bit_integers": "0",
		"output_format_parquet_compression_method": "zstd",
	}
	if rows > 0 {
		settings["limit"] = number(int64(rows))
	}
	return settings
}

// ask has a worker answer.
func (c *Console) ask(ctx context.Context, asked question, to io.Writer) (*api.SQLAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)() //nolint:contextcheck // the console's own end
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return nil, c.why(ctx)
	}
	defer func() { <-c.places }()
	from, err := c.newest()
	if err != nil {
		return nil, err
	}
	w, err := c.worker(ctx, from)
	if err != nil {
		return nil, errors.Join(c.why(ctx), err)
	}
	defer c.prepare()
	defer w.stop()
	if err := w.answer(ctx, asked, c.config.Limits, to); err != nil {
		if why := c.why(ctx); why != nil {
			return nil, why
		}
		return nil, err
	}
	return &api.SQLAnswer{Snapshot: from.Name, Indexed: from.Indexed}, nil
}

// why returns why a context ended, nil if it did not.
func (c *Console) why(ctx context.Context) error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	return context.Cause(ctx)
}

// worker returns one over a snapshot: the one that waits, or a new one.
func (c *Console) worker(ctx context.Context, from Snapshot) (*worker, error) {
	if w := c.take(); w != nil {
		if w.of.Name == from.Name && w.lives() {
			return w, nil
		}
		w.stop()
	}
	return startWorker(ctx, c.config, from)
}

// take takes the worker that waits away.
func (c *Console) take() *worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waiting
	c.waiting = nil
	if c.timer != nil {
		c.timer.Stop()
	}
	return w
}

// prepare starts a worker for the next question, beside everything else.
func (c *Console) prepare() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || c.waiting != nil {
		return
	}
	c.running.Go(func() {
		from, err := c.newest()
		var w *worker
		if err == nil {
			w, err = startWorker(c.ctx, c.config, from)
		}
		if err != nil {
			if c.ctx.Err() == nil {
				c.config.Logger.Warn("preparing the SQL console", "error", err)
			}
			return
		}
		c.keep(w)
	})
}

// keep has a worker wait for a question, for a time.
func (c *Console) keep(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != nil || c.ctx.Err() != nil {
		w.stop()
		return
	}
	c.waiting = w
	c.timer = time.AfterFunc(idleTime, func() {
		if w := c.take(); w != nil {
			w.stop()
		}
	})
}

// Close ends all workers.
func (c *Console) Close() {
	c.closing.Do(func() {
		c.mu.Lock()
		c.end()
		c.mu.Unlock()
		c.running.Wait()
		if w := c.take(); w != nil {
			w.stop()
		}
		for range cap(c.places) { // those who asked have been answered
			c.places <- struct{}{}
		}
	})
}
