// Package filter decides which outputs may leave a machine: those of the package
// sets that the volunteer chose.
//
// An aggregator publishes for each set the sorted list of the first 96 bits of
// every member's attestation.OutputID. The list is downloaded whole and searched
// here, so the aggregator does not learn which outputs were looked for. A prefix of 96 bits is
// not meant to be hard to invert for a reader who knows the name; it is short.
//
// # Trust
//
// A filter is of a revision that the ledger publishes: the entry is read from the ledger,
// under the pinned key, before the filter is, and bounds it. It has a prefix for each
// output that the entry counts, and no more. That the prefixes are those of the entry's
// own list is not checked here, since the list is much larger than the filter. An
// aggregator that puts other outputs in the place of the set's can learn whether they were
// built here.
package filter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
)

// Sets are the filters of the chosen package sets, kept in a directory.
type Sets struct {
	Dir   string
	Names []string
	API   *api.Client // of the aggregator
	// LogKey is the pinned key of the aggregator's ledger.
	LogKey note.Verifier
}

const (
	// freshness is how long a filter is used without asking for a newer one.
	freshness = 5 * time.Minute
	maxETag   = 256
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
		const size = api.FilterPrefixSize
		i := sort.Search(len(list)/size, func(i int) bool {
			return bytes.Compare(list[i*size:(i+1)*size], id[:size]) >= 0
		})
		return i < len(list)/size && bytes.Equal(list[i*size:(i+1)*size], id[:size])
	})
}

// Identity is the same for filters with the same members.
func (f *Filter) Identity() string {
	h := sha256.New()
	for _, list := range f.lists {
		sum := sha256.Sum256(list)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
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
	const size = api.FilterPrefixSize
	if len(list)%size != 0 {
		return fmt.Errorf("%d bytes are not a whole number of %d-byte prefixes", len(list), size)
	}
	for i := size; i < len(list); i += size {
		if bytes.Compare(list[i-size:i], list[i:i+size]) >= 0 {
			return errors.New("the prefixes are not sorted, each once")
		}
	}
	return nil
}

func (s *Sets) refresh(ctx context.Context, name string) error {
	_, etag, checked, err := s.read(name)
	if err == nil && time.Since(checked) < freshness && time.Since(checked) >= 0 {
		return nil
	}
	answer, err := s.API.Filter(ctx, name, etag)
	switch {
	case errors.Is(err, api.ErrNotModified):
		now := time.Now()
		return os.Chtimes(s.path(name), now, now)
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoSet
	case err != nil:
		return fmt.Errorf("fetching its filter: %w", err)
	}
	defer answer.Close()
	list, err := s.checked(ctx, name, answer)
	if err != nil {
		return fmt.Errorf("its filter: %w", err)
	}
	return s.store(name, answer.ETag, list)
}

// checked reads a filter that can be that of the revision which the ledger publishes.
func (s *Sets) checked(ctx context.Context, name string, answer *api.Filter) ([]byte, error) {
	published, err := s.published(ctx, answer.Entry)
	if err != nil {
		return nil, err
	}
	if published.Name != name {
		return nil, fmt.Errorf("ledger entry %d publishes package set %s", answer.Entry, published.Name)
	}
	list, err := answer.Read(published.Members)
	if err != nil {
		return nil, fmt.Errorf("ledger entry %d publishes %d outputs: %w", answer.Entry, published.Members, err)
	}
	if err := checkList(list); err != nil {
		return nil, err
	}
	if n := len(list) / api.FilterPrefixSize; n != published.Members {
		return nil, fmt.Errorf("it is of %d outputs, and ledger entry %d publishes %d", n, answer.Entry, published.Members)
	}
	return list, nil
}

// published reads from the ledger what an entry publishes.
func (s *Sets) published(ctx context.Context, index uint64) (*pkgset.Entry, error) {
	reader := ledger.NewReader(s.API.Log(), s.LogKey)
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	record, err := reader.Tree(checkpoint).Record(ctx, index)
	if err != nil {
		return nil, err
	}
	entry, err := record.Entry()
	if err != nil {
		return nil, err
	}
	if entry.Kind != ledger.PackageSet {
		return nil, fmt.Errorf("ledger entry %d is of kind %s and publishes no package set", index, entry.Kind)
	}
	return pkgset.ParseEntry(entry.Body)
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
