package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"repronet.dev/manifest/stabilize"
)

// Of lists what is in an output: a directory, a file or a link. A file that is replaced by
// something else while it is read is refused. The error wraps [ErrTooLarge] where there is
// more than a manifest can list.
func Of(ctx context.Context, output string) (*Manifest, error) {
	w := &walk{ctx: ctx, root: output, manifest: &Manifest{}, buffer: make([]byte, 256<<10), unpack: newUnpacker(ctx)}
	if err := w.add("."); err != nil {
		return nil, fmt.Errorf("listing %s: %w", output, err)
	}
	return w.manifest, nil
}

type walk struct {
	ctx      context.Context //nolint:containedctx // of one call
	root     string
	manifest *Manifest
	buffer   []byte
	unpack   *unpacker
}

// add adds what has a path, and what is in it.
func (w *walk) add(name string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if len(w.manifest.Entries) == MaxEntries {
		return fmt.Errorf("%w: more than %d files", ErrTooLarge, MaxEntries)
	}
	if strings.Count(name, "/") > MaxDepth {
		return fmt.Errorf("%w: directories more than %d deep", ErrTooLarge, MaxDepth)
	}
	file := filepath.Join(w.root, name)
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	e := Entry{Path: Quote(name)}
	switch info.Mode().Type() {
	case 0:
		e.Type, e.Executable = File, info.Mode()&0o100 != 0 // Nix keeps this bit alone of a file's mode
		err = w.read(file, &e)
	case fs.ModeDir:
		e.Type = Directory
	case fs.ModeSymlink:
		e.Type = Link
		e.Target, err = os.Readlink(file)
		e.Target = Quote(e.Target)
	default:
		err = fmt.Errorf("%s is neither a file, nor a directory, nor a link", file)
	}
	if err != nil {
		return err
	}
	if len(e.Path) > MaxPath || len(e.Target) > MaxPath {
		return fmt.Errorf("%w: a name has more than %d bytes", ErrTooLarge, MaxPath)
	}
	w.manifest.Entries = append(w.manifest.Entries, e)
	if e.Type != Directory {
		return nil
	}
	inside, err := os.ReadDir(file)
	if err != nil {
		return err
	}
	// In the order of what is written, which names that are no text have others in.
	slices.SortFunc(inside, func(a, b fs.DirEntry) int { return strings.Compare(Quote(a.Name()), Quote(b.Name())) })
	for _, d := range inside {
		if err := w.add(path.Join(name, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// read hashes a file.
func (w *walk) read(file string, e *Entry) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s was replaced while it was read: %w", file, err)
	}
	n, err := f.ReadAt(w.buffer[:magicSize], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head, name := bytes.Clone(w.buffer[:n]), filepath.Base(file)
	// On another processor, so that two digests take as long as one.
	var stable chan error
	if stabilize.May(name, head, info.Size()) {
		stable = make(chan error, 1)
		go func() {
			var err error
			e.Stable, err = stabilize.Of(name, interruptibleAt{w.ctx, f}, info.Size())
			stable <- err
		}()
		defer func() { err = errors.Join(err, <-stable) }()
	}
	sum := sha256.New()
	e.Size, err = io.CopyBuffer(sum, struct{ io.Reader }{interruptible{w.ctx, f}}, w.buffer)
	sum.Sum(e.SHA256[:0])
	if err != nil {
		return err
	}
	if e.Size != info.Size() {
		return fmt.Errorf("%s was written while it was read", file)
	}
	if stable == nil && mayBeArchive(head) {
		l := w.unpack.list(f, name, e.Size)
		e.Format, e.Members, e.Stable = l.format, l.members, l.stable
	}
	return w.ctx.Err()
}

// An interruptible reader ends with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // of one call
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

type interruptibleAt struct {
	ctx context.Context //nolint:containedctx // of one call
	r   io.ReaderAt
}

func (i interruptibleAt) ReadAt(p []byte, at int64) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.ReadAt(p, at)
}
