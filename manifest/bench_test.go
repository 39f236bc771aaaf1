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

// BenchmarkOf lists an output of 256 MiB, beside what hashing the same files takes alone: of
// 1,000 files, and of programs, which stabilizers look at too.
func BenchmarkOf(b *testing.B) {
	const size = 256 << 20
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, size/1000)
	program := must(os.ReadFile(must(os.Executable())))
	for name, content := range map[string][]byte{"data": data, "programs": program} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			files := size / len(content)
			for i := range files {
				if name == "data" {
					_, _ = random.Read(content) // never fails
				}
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
			b.SetBytes(int64(files * len(content)))
			for b.Loop() {
				if _, err := manifest.Of(b.Context(), dir); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(files*len(content))/bare.Seconds()/1e6, "sha256-MB/s")
		})
	}
}

// must stands for errors that only a broken machine has.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
