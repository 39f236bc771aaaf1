package writer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
)

// A disk is a log's directory. Public are the files that C2SP tlog-tiles names.
// What begins with a dot is the writer's own:
//
//	.state/writer.lock  held by the process that writes
//	.state/treeState    size and root of the tree that is on disk, in JSON, written
//	                    when all of the tree is; the form is that of Tessera
//
// All of it follows from the public files, see recover.go.
type disk struct{ dir string }

// treeState is the content of the file of this name.
type treeState struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

func (d disk) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

const (
	stateFile      = ".state/treeState"
	checkpointFile = "checkpoint"
)

// write puts files in their places, durably.
func (d disk) write(files []file) error {
	for _, f := range files {
		path := d.path(f.path)
		if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := durable.WriteFile(path, f.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (d disk) writeState(size uint64, root tlog.Hash) error {
	text, err := json.Marshal(treeState{size, root[:]})
	if err != nil {
		return err
	}
	return d.write([]file{{stateFile, text}})
}

// readState returns nil if the state is not there, or is none.
func (d disk) readState() (*treeState, error) {
	text, err := d.read(stateFile, 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is there, and nothing is wrong
	}
	if err != nil {
		return nil, err
	}
	var state treeState
	if err := json.Unmarshal(text, &state); err != nil || len(state.Root) != tlog.HashSize || state.Size > 1<<62 {
		return nil, nil //nolint:nilnil,nilerr // damaged is as good as lost
	}
	return &state, nil
}

// read reads a whole file of at most limit bytes.
func (d disk) read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than the %d bytes that it can have", d.path(name), limit)
	}
	return data, nil
}

// A brokenError says that the content of a file, or that there is none, is wrong;
// other errors of reading are the machine's.
type brokenError struct{ path, what string }

func (e *brokenError) Error() string { return e.path + ": " + e.what }

// tile reads the hashes of a tile, from the complete one where the partial one is
// gone.
func (d disk) tile(level int, n uint64, width int) ([]tlog.Hash, error) {
	data, path, err := d.partial(level, n, width, tlog.HashSize*ledger.BundleWidth)
	if err != nil {
		return nil, err
	}
	if len(data) < width*tlog.HashSize || len(data)%tlog.HashSize != 0 {
		return nil, &brokenError{path, fmt.Sprintf("it has %d bytes, not %d", len(data), width*tlog.HashSize)}
	}
	return tileHashes(data[:width*tlog.HashSize]), nil
}

// bundle reads the first entries of a bundle.
func (d disk) bundle(n uint64, width int) ([][]byte, error) {
	data, path, err := d.partial(-1, n, width, ledger.MaxBundleSize)
	if err != nil {
		return nil, err
	}
	entries, err := ledger.ParseBundle(data, width)
	if err != nil {
		return nil, &brokenError{path, err.Error()}
	}
	return entries, nil
}

func (d disk) partial(level int, n uint64, width int, limit int64) (data []byte, path string, err error) {
	path = ledger.TilePath(level, n, width)
	data, err = d.read(path, limit)
	if errors.Is(err, fs.ErrNotExist) && width < ledger.BundleWidth {
		path = ledger.TilePath(level, n, ledger.BundleWidth)
		data, err = d.read(path, limit)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) {
		return nil, path, &brokenError{ledger.TilePath(level, n, width), "it is not there"}
	}
	return data, path, err
}

// widths lists the partial versions of a tile or bundle that are there, the widest
// first.
func (d disk) widths(level int, n uint64) ([]int, error) {
	names, err := os.ReadDir(d.path(partialsOf(level, n)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var widths []int
	for _, name := range names {
		if w, err := strconv.Atoi(name.Name()); err == nil && w > 0 && w < ledger.BundleWidth {
			widths = append(widths, w)
		}
	}
	slices.Sort(widths)
	slices.Reverse(widths)
	return widths, nil
}

// partialsOf is the directory of a tile's partial versions.
func partialsOf(level int, n uint64) string {
	return strings.TrimSuffix(ledger.TilePath(level, n, 1), "/1")
}

func (d disk) exists(name string) (bool, error) {
	_, err := os.Stat(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// removePartials removes the partial versions of what became complete when a tree
// of from entries grew to size.
func (d disk) removePartials(from, size uint64) error {
	for level := -1; ; level++ {
		shift := 8 * (max(level, 0) + 1)
		first, end := from>>shift, size>>shift
		if first == end && level >= 0 {
			return nil
		}
		for n := first; n < end; n++ {
			if err := os.RemoveAll(d.path(partialsOf(level, n))); err != nil {
				return err
			}
		}
	}
}
