package console

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
)

// A worker is given one line of JSON with its setup, and another with its question, on
// standard input. What it says comes as frames on descriptor 3: a byte that tells the kind, the
// length as four bytes, and as many bytes.
const (
	frameReady  = 'r' // the engine is open and the cage closed: it waits for its question
	frameData   = 'd' // a piece of the result
	frameEnd    = 'e' // the result is whole
	frameFailed = 'f' // why there is none, as JSON of failure
)

const maxFrame = 256 << 10

// A setup is what a worker opens its engine with.
type setup struct {
	Library string   `json:"library"` // libchdb.so
	Scratch string   `json:"scratch"` // the engine's directory
	Memory  int64    `json:"memory"`  // bytes
	Seconds int64    `json:"seconds"` // of a processor, after which the kernel ends the worker
	Tables  []string `json:"tables"`  // statements that make a table for each view
}

// A question is what a worker answers.
type question struct {
	SQL      string            `json:"sql"`
	Format   string            `json:"format"` // as the engine names it
	Settings map[string]string `json:"settings"`
	Bytes    int64             `json:"bytes"` // of the result at most
}

// A failure is what the engine says of a question.
type failure struct {
	Code    int    `json:"code"` // ClickHouse's; 0: not the engine's
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Message }

func writeFrame(w io.Writer, kind byte, data []byte) error {
	head := [5]byte{kind}
	binary.BigEndian.PutUint32(head[1:], uint32(len(data)))
	if _, err := w.Write(append(head[:], data...)); err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return nil
}

// readFrame reads what a worker says, which is believed in nothing.
func readFrame(r io.Reader) (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, errors.New("a frame is too long")
	}
	data = make([]byte, n)
	_, err = io.ReadFull(r, data)
	return head[0], data, err
}

// writeLine writes a value as a line of JSON.
func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
