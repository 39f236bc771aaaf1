package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"repronet.dev/internal/redirects"
)

// A Fetcher opens a resource of a log by its path ("checkpoint",
// "tile/0/x001/234"). A resource that is not there gives an error that wraps
// [fs.ErrNotExist]. It is called from several goroutines. It need not bound what
// it returns: readers stop at the size that a resource can have.
type Fetcher func(ctx context.Context, path string) (io.ReadCloser, error)

// Dir reads a log from a directory: the writer's own, or a mirror.
func Dir(dir string) Fetcher {
	return func(_ context.Context, path string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(dir, filepath.FromSlash(path)))
	}
}

// HTTP reads a log over HTTP from below a base URL, without a slash at its end.
// The client's timeout bounds each resource; retrying is the caller's choice.
// Redirects are followed on the same host only.
func HTTP(client *http.Client, base string) Fetcher {
	client = redirects.On(client)
	return func(ctx context.Context, path string) (io.ReadCloser, error) {
		url := base + "/" + path
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		switch response.StatusCode {
		case http.StatusOK:
			return sized{response.Body, response.ContentLength}, nil
		case http.StatusNotFound, http.StatusGone:
			err = &fs.PathError{Op: "GET", Path: url, Err: fs.ErrNotExist}
		default:
			err = fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil, errors.Join(err, response.Body.Close())
	}
}

// sized is a resource that was announced with a size; less than 0: without.
type sized struct {
	io.ReadCloser
	size int64
}

// sizeOf returns how many bytes a resource is said to have; 0 or less if that is not known.
func sizeOf(resource io.Reader) int64 {
	switch r := resource.(type) {
	case sized:
		return r.size
	case *os.File:
		if info, err := r.Stat(); err == nil {
			return info.Size()
		}
	}
	return 0
}

// read fetches a whole resource of at most limit bytes.
func read(ctx context.Context, fetch Fetcher, path string, limit int64) ([]byte, error) {
	resource, err := fetch(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	var data bytes.Buffer
	data.Grow(int(max(0, min(sizeOf(resource), limit))) + bytes.MinRead)
	n, err := data.ReadFrom(io.LimitReader(resource, limit+1))
	if err := errors.Join(err, resource.Close()); err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: %s is larger than the %d bytes that it can have", ErrInvalid, path, limit)
	}
	return data.Bytes(), nil
}
