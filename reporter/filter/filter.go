// Package filter decides which outputs may leave a machine: those of the package
// sets that the volunteer chose.
//
// An aggregator publishes for each set the sorted list of the first 96 bits of
// every member's attestation.OutputID. The list is downloaded whole and searched
// here, so nobody learns which outputs were looked for. A prefix of 96 bits is
// not meant to be hard to invert for somebody who knows the name; it is short.
package filter

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
	"slices"
	"sort"
	"time"

	"repronet/attestation"
	"repronet/internal/durable"
	"repronet/internal/wire"
)

// Sets are the filters of the chosen package sets, kept in a directory.
type Sets struct {
	Dir   string
	Names []string
	HTTP  *http.Client
	Base  string // the aggregator's base URL
}

const (
	// freshness is how long a filter is used without asking for a newer one.
	freshness = 5 * time.Minute
	// maxSize of a filter in bytes: 10 million outputs.
	maxSize = 10e6 * wire.FilterPrefixSize
	maxETag = 256
)

// ErrNoSet is wrapped by the error for a set that the aggregator does not
// publish.
var ErrNoSet = errors.New("the aggregator publishes no such package set")

// A Filter is what the chosen sets have in common: their members.
type Filter struct {
	lists    [][]byte // each sorted prefixes
	complete bool
}

// Contains reports whether an output is in one of the sets.
func (f *Filter) Contains(ecosystem, key string) bool {
	id := attestation.NewOutputID(ecosystem, key)
	return slices.ContainsFunc(f.lists, func(list []byte) bool {
		const size = wire.FilterPrefixSize
		i := sort.Search(len(list)/size, func(i int) bool {
			return bytes.Compare(list[i*size:(i+1)*size], id[:size]) >= 0
		})
		return i < len(list)/size && bytes.Equal(list[i*size:(i+1)*size], id[:size])
	})
}

// Complete reports whether every chosen set is in the filter as the aggregator
// publishes it now: only then an output that it does not contain is in none.
func (f *Filter) Complete() bool { return f.complete }

// Load returns the filter, asking the aggregator for what is missing or old. The
// error says which sets could not be brought up to date; the filter is usable
// nevertheless.
func (s *Sets) Load(ctx context.Context) (*Filter, error) {
	f := &Filter{complete: true}
	var problems []error
	for _, name := range s.Names {
		if err := s.refresh(ctx, name); err != nil {
			f.complete = false
			problems = append(problems, fmt.Errorf("package set %s: %w", name, err))
		}
		list, _, _, err := s.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			f.complete = false
			problems = append(problems, fmt.Errorf("package set %s: %w", name, err))
		default:
			f.lists = append(f.lists, list)
		}
	}
	return f, errors.Join(problems...)
}

func (s *Sets) path(name string) string { return filepath.Join(s.Dir, name+".filter") }

// read returns the stored filter. Its file is a line with the ETag, and the
// prefixes.
func (s *Sets) read(name string) (list []byte, etag string, checked time.Time, err error) {
	path := s.path(name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", time.Time{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", time.Time{}, err
	}
	head, list, found := bytes.Cut(data, []byte("\n"))
	if !found {
		return nil, "", time.Time{}, fmt.Errorf("%s is damaged: delete it", path)
	}
	if err := checkList(list); err != nil {
		return nil, "", time.Time{}, fmt.Errorf("%s is damaged (%w): delete it", path, err)
	}
	return list, string(head), info.ModTime(), nil
}

// checkList reports a list that a search could go wrong in.
func checkList(list []byte) error {
	const size = wire.FilterPrefixSize
	if len(list)%size != 0 {
		return fmt.Errorf("%d bytes are not a whole number of %d-byte prefixes", len(list), size)
	}
	for i := size; i < len(list); i += size {
		if bytes.Compare(list[i-size:i], list[i:i+size]) > 0 {
			return errors.New("the prefixes are not sorted")
		}
	}
	return nil
}

func (s *Sets) refresh(ctx context.Context, name string) error {
	_, etag, checked, err := s.read(name)
	if err == nil && time.Since(checked) < freshness && time.Since(checked) >= 0 {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+wire.FilterPath(name), nil)
	if err != nil {
		return err
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("fetching its filter: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		now := time.Now()
		return os.Chtimes(s.path(name), now, now)
	case http.StatusNotFound:
		return ErrNoSet
	default:
		return fmt.Errorf("fetching its filter: the aggregator answered %s", resp.Status)
	}
	list, err := io.ReadAll(io.LimitReader(resp.Body, maxSize+1))
	if err != nil {
		return fmt.Errorf("fetching its filter: %w", err)
	}
	if len(list) > maxSize {
		return fmt.Errorf("its filter has more than %d bytes", int(maxSize))
	}
	if resp.Header.Get("Content-Type") != "application/octet-stream" {
		return fmt.Errorf("its filter came as %q, not as application/octet-stream", resp.Header.Get("Content-Type"))
	}
	if err := checkList(list); err != nil {
		return fmt.Errorf("its filter: %w", err)
	}
	return s.store(name, resp.Header.Get("ETag"), list)
}

func (s *Sets) store(name, etag string, list []byte) error {
	if len(etag) > maxETag || bytes.ContainsRune([]byte(etag), '\n') {
		etag = ""
	}
	if err := durable.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	data := slices.Concat([]byte(etag), []byte("\n"), list)
	return durable.WriteFile(s.path(name), data, 0o600)
}
