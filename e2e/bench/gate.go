package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"
)

// gate measures what the gate adds to a narinfo that it has judged before: its
// answers against those of the cache behind it, asked in turn.
func (b *bench) gate(ctx context.Context) error {
	s, _, err := b.closureSite(ctx, closureBundle)
	if err != nil {
		return err
	}
	return errors.Join(b.behindGate(ctx, s), s.Stop(), os.RemoveAll(s.dir))
}

func (b *bench) behindGate(ctx context.Context, s *site) (err error) {
	files := map[string]string{"/nix-cache-info": "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n"}
	var paths []string
	for n := uint64(0); len(paths) < b.requests && n < uint64(b.sizes.closure); n++ {
		if diverges(n) {
			continue
		}
		output := outputPath(n)
		path := "/" + strings.TrimPrefix(output, "/nix/store/")[:32] + ".narinfo"
		paths, files[path] = append(paths, path), narinfo(output, n)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	defer upstream.Close()
	policy := filepath.Join(s.dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(policyText), 0o600); err != nil {
		return err
	}
	c, err := newChecker(ctx, b.programs, filepath.Join(s.dir, "gate"), s.URL)
	if err != nil {
		return err
	}
	base, stop, err := c.gate(ctx, "--upstream", upstream.URL, "--policy", policy, "--mirror", c.path("mirror"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	// Until it has the ledger, nothing passes.
	if err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		_, err := fetch(ctx, client, base+paths[0])
		if errors.Is(err, errStatus) {
			return false, nil
		}
		return err == nil, err
	}); err != nil {
		return err
	}
	ask := func(address string, took *[]time.Duration) error {
		begin := time.Now()
		_, err := fetch(ctx, client, address)
		*took = append(*took, time.Since(begin))
		return err
	}
	var first, through, direct []time.Duration
	for _, path := range paths {
		if err := ask(base+path, &first); err != nil {
			return err
		}
	}
	for range max(1, 2000/len(paths)) {
		for _, path := range paths {
			if err := errors.Join(ask(upstream.URL+path, &direct), ask(base+path, &through)); err != nil {
				return err
			}
		}
	}
	alone := fmt.Sprintf("the cache alone: median %s, p99 %s; through the gate: %s, %s",
		milliseconds(median(direct)), milliseconds(p99(direct)), milliseconds(median(through)), milliseconds(p99(through)))
	b.report.add("gate: added to a narinfo it has judged, p99", milliseconds(p99(through)-p99(direct)), atMost(5), alone)
	b.report.add("gate: added to a narinfo it has judged, median", milliseconds(median(through)-median(direct)), noGoal(),
		fmt.Sprintf("%d requests; the first for a path: median %s", len(through), milliseconds(median(first))))
	return nil
}

// gate starts the gate, and returns its address and what ends it.
func (c *checker) gate(ctx context.Context, args ...string) (address string, stop func() error, err error) {
	command := c.command(ctx, "gate --listen 127.0.0.1:0", args...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	messages, err := command.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, err
	}
	lines := bufio.NewReader(messages)
	drained := make(chan struct{})
	stop = func() error {
		err := command.Process.Signal(syscall.SIGTERM)
		<-drained
		return errors.Join(err, command.Wait())
	}
	line, err := lines.ReadString('\n')
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines) // what it judged
	}()
	address, found := strings.CutPrefix(strings.TrimSpace(line), "serving on ")
	if !found {
		return "", nil, errors.Join(fmt.Errorf("the gate says %q", line), err, stop())
	}
	return strings.TrimSuffix(address, "/"), stop, nil
}

// narinfo is what a binary cache says of the n-th output.
func narinfo(output string, n uint64) string {
	digest := digestOf(n, 0)
	hash := nixbase32.EncodeToString(digest[:])
	return fmt.Sprintf("StorePath: %s\nURL: nar/%s.nar.xz\nCompression: xz\nFileHash: sha256:%s\nFileSize: 1000\nNarHash: sha256:%s\nNarSize: 4000\n"+
		"References: \nDeriver: %s.drv\nSig: cache.example.org-1:%s==\n",
		output, hash, hash, hash, strings.TrimPrefix(output, "/nix/store/"), strings.Repeat("A", 86))
}
