package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/e2e/network"
	"repronet.dev/ledger"
)

// builders is how many parties speak of each output.
const builders = 5

// A site is an aggregator and the independent builders that report to it, in a
// directory.
type site struct {
	*network.Aggregator
	dir      string
	log      *os.File
	builders []*builder
	made     uint64 // outputs that were spoken of so far
}

// open starts an aggregator in a directory, with what it has there already.
func (b *bench) open(ctx context.Context, dir string, parties int) (_ *site, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	s := &site{dir: dir}
	if text, err := os.ReadFile(s.madePath()); err == nil {
		if _, err := fmt.Sscan(string(text), &s.made); err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.madePath(), err)
		}
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if err := s.start(ctx, b.programs); err != nil {
		return nil, err
	}
	if s.builders, err = enrolBuilders(ctx, s.Aggregator, dir, parties); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// start starts the aggregator, which is stopped in order: it does not end with ctx.
func (s *site) start(ctx context.Context, programs network.Programs, args ...string) (err error) {
	s.Aggregator, err = network.StartAggregator(context.WithoutCancel(ctx), programs, filepath.Join(s.dir, "aggregator"), s.log,
		append([]string{"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms"}, args...)...)
	return err
}

func (s *site) madePath() string { return filepath.Join(s.dir, "made") }

// next reserves so many outputs that no claim names yet, and returns the first.
func (s *site) next(outputs int) (first uint64, err error) {
	first = s.made
	s.made += uint64(outputs)
	return first, os.WriteFile(s.madePath(), fmt.Append(nil, s.made), 0o600)
}

// client asks the aggregator.
func (s *site) client() *api.Client { return &api.Client{HTTP: http.DefaultClient, Base: s.URL} }

func (s *site) summary(ctx context.Context) (*api.Summary, error) { return s.client().Summary(ctx, "") }

// settled waits until the index has caught up.
func (s *site) settled(ctx context.Context) error {
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		sum, err := s.summary(ctx)
		return err == nil && sum.Indexed == sum.LedgerSize, err
	})
}

// published waits until a signed checkpoint covers all that the ledger has.
func (s *site) published(ctx context.Context) error {
	key, err := s.logKey(ctx)
	if err != nil {
		return err
	}
	sum, err := s.summary(ctx)
	if err != nil {
		return err
	}
	reader := ledger.NewReader(s.client().Log(), key)
	return poll(ctx, 50*time.Millisecond, func() (bool, error) {
		checkpoint, err := reader.Checkpoint(ctx)
		return err == nil && checkpoint.Size >= sum.LedgerSize, err
	})
}

func (s *site) logKey(ctx context.Context) (note.Verifier, error) {
	text, err := s.client().LogKey(ctx)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}

func (s *site) get(ctx context.Context, path string) ([]byte, error) {
	return fetch(ctx, http.DefaultClient, s.URL+path)
}

// errStatus is wrapped if an answer has another status than 200.
var errStatus = errors.New("not answered")

// fetch returns the body of an answer.
func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: GET %s: %s: %.300s", errStatus, address, response.Status, body)
	}
	return body, err
}

// poll asks until the answer is yes.
func poll(ctx context.Context, every time.Duration, ask func() (bool, error)) error {
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
