package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"

	"repronet.dev/internal/chdb"
)

// WorkerArgument is the first argument of the program when it is started as a worker.
const WorkerArgument = "sql-worker"

// resultsDescriptor is where a worker's frames go: the engine itself may write to standard
// output.
const resultsDescriptor = 3

// database is that of the views' tables.
const database = "repronet"

// Work is the worker: in a cage it reads its setup, says that it is ready, answers one
// question, and returns. It is to be run in a process of its own, whose arguments behind
// WorkerArgument are the directory that it may read, and the one that it may write into, and
// the engine's library.
func Work(ctx context.Context, in io.Reader, args []string) error {
	if len(args) != 3 {
		return errors.New("this is a part of the server, which starts it by itself")
	}
	if os.Getenv(enteredVariable) == "" {
		return enter([]reach{{path: args[0]}, {path: args[1], write: true}, {path: args[2]}})
	}
	return work(ctx, in, guards{readOnly: true, sealed: true})
}

// guards are the worker's part of what keeps a question from doing harm. Tests take them away
// one at a time.
type guards struct{ readOnly, sealed bool }

func work(ctx context.Context, in io.Reader, on guards) error {
	w, err := newEngine(ctx, in, on)
	if err != nil {
		return err
	}
	defer w.out.Close()
	if err := w.answer(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return nil // it was not needed
}

// An engine is a worker from inside.
type engine struct {
	*chdb.Engine
	on  guards
	in  *bufio.Reader
	out *os.File
}

// newEngine reads the setup, opens the engine with it, and says that it is ready.
func newEngine(ctx context.Context, in io.Reader, on guards) (*engine, error) {
	w := &engine{on: on, in: bufio.NewReader(in), out: os.NewFile(resultsDescriptor, "results")}
	var with setup
	if err := readLine(w.in, &with); err != nil {
		return nil, fmt.Errorf("reading the setup: %w", err)
	}
	var err error
	if w.Engine, err = openEngine(ctx, with, on); err != nil {
		return nil, err
	}
	return w, writeFrame(w.out, frameReady, nil)
}

// answer reads a question and answers it. It returns io.EOF if there is none.
func (w *engine) answer(ctx context.Context) error {
	var asked question
	if err := readLine(w.in, &asked); err != nil {
		return fmt.Errorf("reading the question: %w", err)
	}
	if w.on.readOnly {
		asked.Settings["readonly"] = "1"
	}
	result, err := w.Formatted(ctx, database, asked.SQL, asked.Format, asked.Settings)
	if err == nil && int64(len(result)) > asked.Bytes {
		err = &failure{codeTooLarge, "the result is too large"}
	}
	if err != nil {
		return fail(w.out, err)
	}
	for len(result) > 0 {
		n := min(len(result), maxFrame)
		if err := writeFrame(w.out, frameData, result[:n]); err != nil {
			return err
		}
		result = result[n:]
	}
	return writeFrame(w.out, frameEnd, nil)
}

// fail says why there is no result.
func fail(out io.Writer, err error) error {
	said, ok := errors.AsType[*failure](err)
	if !ok {
		said = &failure{chdb.Code(err), err.Error()}
	}
	said.Message = said.Message[:min(len(said.Message), maxFrame/8)] // each byte may be written as six
	text, err := json.Marshal(said, json.Deterministic(true))
	if err != nil {
		return err
	}
	return writeFrame(out, frameFailed, text)
}

// openEngine opens the engine, makes the views' tables, and closes the cage behind them.
func openEngine(ctx context.Context, with setup, on guards) (*chdb.Engine, error) {
	if err := limit(with); err != nil {
		return nil, err
	}
	engine, err := chdb.Open(ctx, chdb.Config{Library: with.Library, Path: with.Scratch, MaxServerMemory: with.Memory, Connections: 1})
	if err != nil {
		return nil, err
	}
	for _, statement := range with.Tables {
		if _, err := engine.Formatted(ctx, "", statement, "Null", nil); err != nil {
			return nil, fmt.Errorf("making the views: %w", err)
		}
	}
	if !on.sealed {
		return engine, nil
	}
	if err := seal(); err != nil {
		return nil, fmt.Errorf("closing the cage: %w", err)
	}
	return engine, nil
}

func readLine(r *bufio.Reader, into any) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}
