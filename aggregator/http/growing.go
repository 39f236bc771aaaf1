package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"repronet.dev/internal/durable"
)

// A growing file is written by one goroutine and read by another at the same time,
// each at its own pace. It has no name: nothing is left of it when it is closed, or
// the process ends.
type growing struct {
	file *os.File

	mu    sync.Mutex    // guards everything below
	size  int64         // written
	err   error         // how writing ended; nil while it goes on
	grown chan struct{} // closed, and replaced, when one of those changes
}

func newGrowing(dir string) (*growing, error) {
	file, err := os.CreateTemp(dir, durable.TemporaryPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("making a temporary file: %w", err), file.Close())
	}
	return &growing{file: file, grown: make(chan struct{})}, nil
}

// Write implements [io.Writer].
func (g *growing) Write(data []byte) (int, error) {
	n, err := g.file.Write(data)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size += int64(n)
	g.tell()
	return n, err
}

// end says how writing ended: no more comes.
func (g *growing) end(err error) {
	if err == nil {
		err = io.EOF
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
	g.tell()
}

func (g *growing) tell() {
	close(g.grown)
	g.grown = make(chan struct{})
}

// read reads from a place in the file, and waits for what is to come there. At the
// end it returns io.EOF, or what ended the writing.
func (g *growing) read(ctx context.Context, into []byte, at int64) (int, error) {
	for {
		g.mu.Lock()
		there, err, grown := g.size-at, g.err, g.grown
		g.mu.Unlock()
		switch {
		case there > 0:
			return g.file.ReadAt(into[:min(int64(len(into)), there)], at)
		case err != nil:
			return 0, err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// close frees the file's space.
func (g *growing) close() {
	_ = g.file.Close() // nothing that is kept was written
}
