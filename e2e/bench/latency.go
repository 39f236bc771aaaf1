package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
)

// latency measures one submission to its verified receipt and to its visible
// verdict: idle, and with half of the greatest load beside it.
func (b *bench) latency(ctx context.Context) error {
	log, err := b.filled.logKey(ctx)
	if err != nil {
		return err
	}
	if err := b.latencies(ctx, ctx, log, "idle"); err != nil {
		return err
	}
	speed := b.most / 2
	if speed == 0 {
		speed = 20_000 // half of the goal
	}
	bundles, _, err := b.filled.make(ctx, b.sample/builders, 100)
	if err != nil {
		return err
	}
	// No sample begins when the load has ended, and the load ends with the last one.
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- b.filled.pace(loaded, bundles, speed)
		stop()
	}()
	err = b.latencies(ctx, loaded, log, fmt.Sprintf("at %d outputs/s", speed))
	stop()
	if loadErr := <-ended; !errors.Is(loadErr, context.Canceled) {
		err = errors.Join(err, loadErr)
	}
	return errors.Join(err, b.filled.settled(ctx))
}

// pace submits bundles of 100 outputs at a rate of outputs a second until ctx
// ends or they are used up.
func (s *site) pace(ctx context.Context, bundles [][]byte, outputs int) error {
	const tick = 100 * time.Millisecond
	n := max(1, outputs/100/int(time.Second/tick))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	group, ctx := errgroup.WithContext(ctx)
	for len(bundles) >= n {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-ticker.C:
		}
		part := bundles[:n]
		bundles = bundles[n:]
		group.Go(func() error { _, err := s.submit(ctx, part); return err })
	}
	return group.Wait()
}

// samplers is how many submissions are timed at once.
const samplers = 4

// latencies times submissions until there are enough of them; none begins after begins has ended.
func (b *bench) latencies(ctx, begins context.Context, log note.Verifier, when string) error {
	s := b.filled
	bundles, first, err := s.make(ctx, b.sizes.latencies, 1)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: samplers}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var mu sync.Mutex // guards what follows
	var receipts, verdicts []time.Duration
	var group errgroup.Group
	group.SetLimit(samplers)
	for i := range b.sizes.latencies {
		group.Go(func() error {
			if begins.Err() != nil && ctx.Err() == nil {
				return nil // the load has ended
			}
			begin := time.Now()
			err := verifiedReceipt(ctx, client, s.URL, bundles[i*builders], log)
			receipt := time.Since(begin)
			if err == nil {
				err = s.visible(ctx, client, outputPath(first+uint64(i)))
			}
			verdict := time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			receipts, verdicts = append(receipts, receipt), append(verdicts, verdict)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(receipts) == 0 {
		return errors.New("no submission was made before the load ended")
	}
	b.report.add("submission to verified receipt, p99, "+when, milliseconds(p99(receipts)), atMost(1500),
		fmt.Sprintf("%d samples, median %s; checkpoint every 250 ms", len(receipts), milliseconds(median(receipts))))
	b.report.add("submission to visible verdict, p99, "+when, milliseconds(p99(verdicts)), atMost(3000),
		fmt.Sprintf("median %s", milliseconds(median(verdicts))))
	return nil
}

func verifiedReceipt(ctx context.Context, client *http.Client, base string, bundle []byte, log note.Verifier) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+api.SubmitPath, strings.NewReader(string(bundle)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", api.BundleType)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var result api.Result
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
		return err
	}
	if result.Receipt == nil {
		return fmt.Errorf("no receipt: %s", response.Status)
	}
	_, err = result.Receipt.Verify(log)
	return err
}

// visible waits until an output is there to see.
func (s *site) visible(ctx context.Context, client *http.Client, key string) error {
	return poll(ctx, 5*time.Millisecond, func() (bool, error) {
		_, err := fetch(ctx, client, s.URL+api.OutputsPath+"?name="+url.QueryEscape(key))
		if errors.Is(err, errStatus) {
			return false, nil
		}
		return err == nil, err
	})
}
