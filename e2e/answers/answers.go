// Package answers asks one version's programs everything that follows from a ledger,
// and compares two versions' answers.
//
// Model. Verdicts, history, counts, map roots, divergences, builders and sets are a
// pure function of the ledger, so programs of two versions that read the same ledger
// give the same answers. [Read] copies a ledger, has `repronet-aggregator serve` make
// an index of it, asks the API, the exports and `repronet-verify replay`, and has the
// server commit to the verifiable map. [Compare] says what differs.
//
// Trust. None: both versions are judged by their bytes. What one version leaves out is
// a difference; what a newer one adds (a field of a document) is listed apart.
package answers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"repronet.dev/e2e/network"
)

// Answers are what programs say, by what they were asked: an API path, or a command.
type Answers map[string]string

// Options say how much is asked.
type Options struct {
	// Outputs is how many outputs are asked for one by one, spread evenly over all of
	// them; all if zero. The exports cover all of them in any case.
	Outputs int
	// Map has the server commit to the map of the ledger, whose root is an answer.
	Map bool
	// Index has the server begin with the index in the data directory, of whatever
	// version; the directory is copied whole then. What follows from the periodic roll-up
	// is not asked: builders, and how operators agree. Without Index the index is made
	// anew, with a roll-up.
	Index bool
	// Log gets the programs' messages; none if nil.
	Log io.Writer
}

// Read copies an aggregator's data directory, or of it only the ledger (ledger/ and
// log.key), and asks the programs what follows from it.
func Read(ctx context.Context, p network.Programs, data string, o Options) (_ Answers, err error) {
	said := &messages{}
	o.Log = io.MultiWriter(said, cmp.Or[io.Writer](o.Log, io.Discard))
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; the programs say: %s", err, said)
		}
	}()
	tmp, err := os.MkdirTemp("", "repronet-answers-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	r := &reading{programs: p, options: o, data: filepath.Join(tmp, "data"), tmp: tmp, answers: Answers{}}
	if r.origin, err = copyData(data, r.data, o.Index); err != nil {
		return nil, fmt.Errorf("copying the ledger in %s: %w", data, err)
	}
	if !o.Index {
		// A roll-up is part of it. A server alone would make the index, and roll it up in
		// the midst of our questions.
		if err := r.reindex(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.serving(ctx, noMaps, r.ask); err != nil {
		return nil, err
	}
	if o.Map {
		err = r.serving(ctx, mapsAtOnce, r.commit)
	}
	return r.answers, err
}

// A reading is the work of [Read].
type reading struct {
	programs  network.Programs
	options   Options
	data, tmp string // the copy, and what it is in
	origin    string // of the ledger
	answers   Answers
}

// Settings of map_interval. A server that commits to a map while it is asked would
// change the ledger.
const (
	noMaps     = "24h"
	mapsAtOnce = "1s"
)

// reindex makes the index without a server.
func (r *reading) reindex(ctx context.Context) error {
	config, err := r.configure(noMaps)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, r.programs.Aggregator(), "reindex", "--data", r.data, "--config", config)
	command.Stdout, command.Stderr = r.options.Log, r.options.Log
	return command.Run()
}

// configure writes the server's configuration.
func (r *reading) configure(mapInterval string) (file string, err error) {
	file = filepath.Join(r.tmp, "aggregator.yaml")
	return file, os.WriteFile(file, []byte("origin: "+r.origin+"\nmap_interval: "+mapInterval+"\n"), 0o600)
}

// serving calls f while a server runs on the copy.
func (r *reading) serving(ctx context.Context, mapInterval string, f func(ctx context.Context, base string) error) (err error) {
	config, err := r.configure(mapInterval)
	if err != nil {
		return err
	}
	// The server is stopped in order, so it does not end with the context.
	server, err := network.StartAggregator(context.WithoutCancel(ctx), r.programs, r.data, r.options.Log,
		"--listen", "127.0.0.1:0", "--config", config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	return f(ctx, server.URL)
}

// copyData copies a data directory, whole or what cannot be made again of the ledger,
// and returns the ledger's origin.
func copyData(from, to string, whole bool) (origin string, err error) {
	if whole {
		err = errors.Join(os.CopyFS(to, os.DirFS(from)), closeToOthers(to))
	} else {
		err = copyLedger(from, to)
	}
	if err != nil {
		return "", err
	}
	checkpoint, err := os.ReadFile(filepath.Join(to, "ledger", "checkpoint"))
	if err != nil {
		return "", err
	}
	origin, _, _ = strings.Cut(string(checkpoint), "\n")
	return origin, nil
}

// closeToOthers takes from others what os.CopyFS gives them: no program accepts a key
// that others can read.
func closeToOthers(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
}

func copyLedger(from, to string) error {
	if err := os.CopyFS(filepath.Join(to, "ledger"), os.DirFS(filepath.Join(from, "ledger"))); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(from, "log.key"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "log.key"), key, 0o600)
}

// messages keeps the end of what programs say on standard error.
type messages struct {
	mu  sync.Mutex // guards end
	end []byte
}

// Write implements [io.Writer].
func (m *messages) Write(p []byte) (int, error) {
	const most = 1000
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end = append(m.end, p...)
	m.end = m.end[max(0, len(m.end)-most):]
	return len(p), nil
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.TrimSpace(string(m.end))
}
