package reports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/internal/durable"
)

// Sweep removes what was handed in some weeks ago and is not asked for any more, and what
// cannot be read.
func (r *Reports) Sweep(ctx context.Context) error {
	removed := 0
	err := filepath.WalkDir(r.config.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if err != nil || time.Since(info.ModTime()) < retention {
			return err
		}
		stays, err := r.stays(ctx, path)
		if err != nil || stays {
			return err
		}
		removed++
		return r.remove(path, info.Size())
	})
	if removed > 0 {
		r.config.Logger.InfoContext(ctx, "removed manifests that nothing asks for any more", "manifests", removed)
	}
	if err != nil {
		return fmt.Errorf("sweeping reports: %w", err)
	}
	return nil
}

// stays reports whether the manifest in a file is still asked for.
func (r *Reports) stays(ctx context.Context, path string) (bool, error) {
	n, ok := parseName(filepath.Base(path))
	if !ok {
		return false, nil
	}
	statement, err := peek(path)
	if err != nil {
		r.config.Logger.WarnContext(ctx, "a manifest cannot be read, and is removed", "file", path, "error", err)
		return false, nil
	}
	output, err := r.config.Source.Output(ctx, statement.Output)
	if errors.Is(err, dashboard.ErrNotFound) {
		return false, nil
	}
	return err == nil && output.Verdict == api.Diverged && claimed(output, n), err
}

func (r *Reports) remove(path string, size int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := durable.Remove(path); err != nil {
		return err
	}
	r.bytes -= size
	r.differences.forget()
	return nil
}
