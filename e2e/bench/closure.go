package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// closureBundle is how many outputs of a closure are in a bundle: 3,359 outputs
// of five builders are in 400 bundles.
const closureBundle = 42

// closures measures what a user waits for who asks about a whole system and has
// no copy of the ledger: in bundles as builders send them, and scattered.
func (b *bench) closures(ctx context.Context) error {
	for _, each := range []int{closureBundle, 1} {
		s, bundles, err := b.closureSite(ctx, each)
		if err != nil {
			return err
		}
		if err := errors.Join(b.closure(ctx, s, bundles, each), s.Stop(), os.RemoveAll(s.dir)); err != nil {
			return err
		}
	}
	return nil
}

// closureSite is an aggregator that knows of one closure, whose outputs are the
// first ones, and nothing else.
func (b *bench) closureSite(ctx context.Context, each int) (s *site, bundles [][]byte, err error) {
	if s, err = b.open(ctx, filepath.Join(b.tmp, fmt.Sprintf("closure-%d", each)), builders); err != nil {
		return nil, nil, err
	}
	if bundles, _, err = s.make(ctx, b.sizes.closure, each); err == nil {
		progress("submitting %d bundles", len(bundles))
		_, err = s.submit(ctx, bundles)
	}
	if err == nil {
		err = s.settled(ctx)
	}
	if err == nil {
		err = s.published(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Stop())
	}
	return s, bundles, nil
}

const policyText = "sections: [{ecosystem: nix, quorum: 3}]\n"

func (b *bench) closure(ctx context.Context, s *site, bundles [][]byte, each int) error {
	list, policy := filepath.Join(s.dir, "list"), filepath.Join(s.dir, "policy.yaml")
	var lines strings.Builder
	for n := range b.sizes.closure {
		fmt.Fprintln(&lines, outputPath(uint64(n)))
	}
	if err := errors.Join(os.WriteFile(list, []byte(lines.String()), 0o600), os.WriteFile(policy, []byte(policyText), 0o600)); err != nil {
		return err
	}
	check := func(ctx context.Context, c *checker) (*ran, error) {
		mirror := c.path("mirror")
		if err := os.RemoveAll(mirror); err != nil {
			return nil, err
		}
		r, err := c.run(ctx, "closure", list, "--policy", policy, "--json", "--mirror", mirror)
		if err != nil {
			return nil, err
		}
		return r, b.rightClosure(r.stdout)
	}
	alone, files, err := s.network(ctx, b, check)
	if err != nil {
		return fmt.Errorf("fetching the same alone: %w", err)
	}
	c, err := newChecker(ctx, b.programs, filepath.Join(s.dir, "checker"), s.URL)
	if err != nil {
		return err
	}
	var took, cpu []time.Duration
	for range 5 {
		r, err := check(ctx, c)
		if err != nil {
			return err
		}
		took, cpu = append(took, r.took), append(cpu, r.cpu)
	}
	opened, err := s.openAll(bundles)
	if err != nil {
		return err
	}
	name, goal := fmt.Sprintf("closure of %d outputs, %d bundles, cold, beyond network", b.sizes.closure, len(bundles)), noGoal()
	if each > 1 {
		goal = atMost(1000)
	}
	b.report.add(name, milliseconds(median(took)-alone), goal, fmt.Sprintf("in all %s, CPU %s; fetching the same %d files alone: %s; opening the bundles alone: %s",
		milliseconds(median(took)), milliseconds(median(cpu)), files, milliseconds(alone), milliseconds(opened)))
	return nil
}

// rightClosure checks what closure says: all but the outputs that diverge are
// accepted, by all operators.
func (b *bench) rightClosure(text []byte) error {
	var report struct {
		Outputs []struct {
			Operators int
			Decision  struct{ Action, Finding string }
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return err
	}
	if len(report.Outputs) != b.sizes.closure {
		return fmt.Errorf("closure judges %d of %d outputs", len(report.Outputs), b.sizes.closure)
	}
	for n, o := range report.Outputs {
		want := "accept"
		if diverges(uint64(n)) {
			want = "refuse"
		}
		if o.Decision.Action != want || o.Operators != builders {
			return fmt.Errorf("closure says of %s: %+v, want %s", outputPath(uint64(n)), o, want)
		}
	}
	return nil
}

// network measures how long it takes to fetch what a command fetches, and do
// nothing with it: the command runs behind a proxy that notes the requests, and
// these are made again.
func (s *site) network(ctx context.Context, b *bench, check func(context.Context, *checker) (*ran, error)) (took time.Duration, files int, err error) {
	base, err := url.Parse(s.URL)
	if err != nil {
		return 0, 0, err
	}
	var mu sync.Mutex // guards paths
	var paths []string
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(base)
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.In.URL.RequestURI())
	}}
	server := httptest.NewServer(proxy)
	defer server.Close()
	c, err := newChecker(ctx, b.programs, filepath.Join(s.dir, "behind-proxy"), server.URL)
	if err != nil {
		return 0, 0, err
	}
	take := func() (asked []string) {
		mu.Lock()
		defer mu.Unlock()
		asked, paths = paths, nil
		return asked
	}
	take() // what pinning asked for
	if _, err := check(ctx, c); err != nil {
		return 0, 0, err
	}
	asked := take()
	const atOnce = 6
	for range 5 {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}, Timeout: time.Minute}
		var group errgroup.Group
		group.SetLimit(atOnce)
		begin := time.Now()
		for _, path := range asked {
			group.Go(func() error {
				_, err := fetch(ctx, client, s.URL+path)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return 0, 0, err
		}
		once := time.Since(begin)
		client.CloseIdleConnections()
		if took == 0 || once < took {
			took = once
		}
	}
	return took, len(asked), nil
}
