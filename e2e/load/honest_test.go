package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"repronet.dev/api"
)

const (
	// pause is between two requests of those who are honest.
	pause = 100 * time.Millisecond
	// again is when one who was turned away asks again.
	again = 250 * time.Millisecond
	// enough bounds the wait for one answer. One that did not come by then took as long.
	enough = 20 * time.Second
)

// waits are how long those who are honest waited for their answers.
type waits struct {
	mu              sync.Mutex // guards what follows
	receipts, pages []time.Duration
	missing         int   // answers that did not come at all
	last            error // why one was not answered at once
}

func (w *waits) add(to *[]time.Duration, took time.Duration, err error, came bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*to = append(*to, took)
	if err != nil {
		w.last = err
	}
	if !came {
		w.missing++
	}
}

// honest builds and reads until ctx ends.
func honest(ctx context.Context, s *site) *waits {
	var w waits
	var group sync.WaitGroup
	alone := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: enough}
	group.Go(func() {
		for ctx.Err() == nil {
			bundle := s.honest.bundle(ctx, s.next(1), 1)
			took, err, came := persist(ctx, func(ctx context.Context) error { return s.receipt(ctx, alone, bundle) })
			w.add(&w.receipts, took, err, came)
			sleep(ctx, pause)
		}
	})
	group.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			path := []string{"/", "/divergences", "/builders", "/builds/" + strings.TrimPrefix(outputPath(random(form.outputs)), "/") + ".drv"}[i%4]
			took, err, came := persist(ctx, func(ctx context.Context) error { _, err := get(ctx, alone, s.target.URL+path); return err })
			w.add(&w.pages, took, err, came)
			sleep(ctx, pause)
		}
	})
	group.Wait()
	return &w
}

// persist asks until there is an answer. It returns how long that took, what was wrong
// before, and whether there was one. What is under way when ctx ends is waited for.
func persist(ctx context.Context, ask func(context.Context) error) (took time.Duration, why error, came bool) { //nolint:revive // why is no error of persist
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), enough)
	defer cancel()
	for begin := time.Now(); ; sleep(within, again) {
		err := ask(within)
		if err == nil {
			return time.Since(begin), why, true
		}
		if why = err; within.Err() != nil {
			return time.Since(begin), why, false
		}
	}
}

// receipt submits a bundle, once, and verifies the receipt.
func (s *site) receipt(ctx context.Context, client *http.Client, bundle []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target.URL+api.SubmitPath, bytes.NewReader(bundle))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", api.BundleType)
	body, err := do(client, request)
	if err != nil {
		return err
	}
	var result api.Result
	if err := json.Unmarshal(body, &result); err != nil {
		return err
	}
	if result.Receipt == nil {
		return fmt.Errorf("%w: no receipt: %s", errTurnedAway, body)
	}
	_, err = result.Receipt.Verify(s.key)
	return err
}

// p99 is the time that 99 of 100 waits do not exceed.
func p99(waits []time.Duration) time.Duration {
	if len(waits) == 0 {
		return enough
	}
	sorted := slices.Sorted(slices.Values(waits))
	return sorted[min(len(sorted)-1, len(sorted)*99/100)]
}
