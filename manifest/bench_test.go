package manifest_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"repronet.dev/manifest"
)

// BenchmarkOf lists an output of 256 MiB in 1,000 files, beside what hashing the same files
// takes alone.
func BenchmarkOf(b *testing.B) {
	const files, size = 1000, 256 << 10
	dir := b.TempDir()
	content, random := make([]byte, size), rand.NewChaCha8([32]byte{1})
	for i := range files {
		_, _ = random.Read(content) // never fails
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	hash := func() {
		for i := range files {
			f, err := os.Open(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(sha256.New(), f); err != nil {
				b.Fatal(err)
			}
			_ = f.Close()
		}
	}
	hash() // into the page cache
	begin := time.Now()
	hash()
	bare := time.Since(begin)
	b.SetBytes(files * size)
	for b.Loop() {
		if _, err := manifest.Of(b.Context(), dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(files*size)/bare.Seconds()/1e6, "sha256-MB/s")
}
