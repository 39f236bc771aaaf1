package writer_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// BenchmarkAppend measures appends from 256 goroutines, beside the limit: the
// same bytes written to one file with an fsync after each 256 of them.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1500, 20_000} {
		noise := make([]byte, size) // does not compress
		if _, err := rand.Read(noise); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			log := open(b, b.TempDir())
			const writers = 256
			var group sync.WaitGroup
			b.ResetTimer()
			for w := range writers {
				group.Go(func() {
					for i := w; i < b.N; i += writers {
						if _, err := log.Append(b.Context(), ledger.Attestation, noise); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			closeLog(b, log)
			limit := fileRate(b, noise, b.N)
			b.ReportMetric(rate, "appends/s")
			b.ReportMetric(limit, "limit/s")
			b.ReportMetric(100*rate/limit, "%limit")
		})
	}
}

func fileRate(b *testing.B, noise []byte, n int) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "limit"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	start := time.Now()
	for i := range n {
		if _, err := f.Write(noise); err != nil {
			b.Fatal(err)
		}
		if i%256 == 255 || i == n-1 {
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

// BenchmarkReceipt measures the time from a submission to its receipt, from 16
// goroutines at a checkpoint interval of 250 ms.
func BenchmarkReceipt(b *testing.B) {
	dir := b.TempDir()
	log, err := writer.Open(b.Context(), writer.Config{
		Dir: filepath.Join(dir, "log"), Key: newKey(b, dir), CheckpointInterval: 250 * time.Millisecond,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, log)
	var mu sync.Mutex // guards appended, received
	var appended, received []time.Duration
	var group sync.WaitGroup
	const writers = 16
	b.ResetTimer()
	for w := range writers {
		group.Go(func() {
			for i := w; i < b.N; i += writers {
				start := time.Now()
				index, err := log.Append(b.Context(), ledger.Attestation, []byte("entry"))
				middle := time.Since(start)
				if err == nil {
					_, err = log.Receipt(b.Context(), index)
				}
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				appended, received = append(appended, middle), append(received, time.Since(start))
				mu.Unlock()
			}
		})
	}
	group.Wait()
	b.StopTimer()
	for name, times := range map[string][]time.Duration{"append": appended, "receipt": received} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, name+"-p99-ms")
	}
}

// BenchmarkProof measures receipts whose checkpoint is there already.
func BenchmarkProof(b *testing.B) {
	log := open(b, b.TempDir())
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 100 {
				if _, err := log.Append(b.Context(), ledger.Attestation, []byte("entry")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	defer closeLog(b, log)
	if _, err := log.Receipt(b.Context(), log.Size()-1); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N {
		if _, err := log.Receipt(b.Context(), uint64(i*37%6400)); err != nil {
			b.Fatal(err)
		}
	}
}
