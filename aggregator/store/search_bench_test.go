package store_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"testing"
	"time"

	"repronet.dev/aggregator/store"
)

// BenchmarkSearch looks for names that are common, rare and unknown among 600,000
// outputs, written as the index does.
func BenchmarkSearch(b *testing.B) {
	const outputs, batch = 600_000, 20_000
	options, _ := database(b)
	tables := open(b, options).Current()
	hash := func(text string) string {
		const alphabet = "0123456789abcdfghijklmnpqrsvwxyz"
		sum := sha256.Sum256([]byte(text))
		path := make([]byte, 32)
		for i := range path {
			path[i] = alphabet[sum[i]%32]
		}
		return string(path)
	}
	words := []string{"hello", "openssl", "python3", "linux", "perl5", "ghc", "rust", "haskell-lens", "libfoo", "kde-frameworks", "texlive", "nodejs"}
	begin := time.Now()
	for n := 0; n < outputs; n += batch {
		var names []store.OutputName
		for i := n; i < n+batch; i++ {
			name := fmt.Sprintf("%s-%s-%d.%d", words[i%len(words)], words[i/7%len(words)], i%97, i)
			if i == 123_456 {
				name = "zygomorphic-1.0"
			}
			names = append(names, store.OutputName{
				Output: uint32(i), Ecosystem: "nix", Key: "/nix/store/" + hash("out"+name) + "-" + name, Build: "/nix/store/" + hash("drv"+name) + "-" + name + ".drv",
			})
		}
		if err := tables.Write(b.Context(), &store.Batch{Outputs: names}); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(begin)
	usage, err := tables.DiskUsage(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{"openssl", "ghc", "zygomorphic", "zyg", "no-such-package", "OpenSSL-GHC", "599999", hash("outzygomorphic-1.0")} {
		b.Run(text, func(b *testing.B) {
			found := 0
			for b.Loop() {
				all, err := tables.Search(b.Context(), text, math.MaxUint32, 51)
				if err != nil {
					b.Fatal(err)
				}
				found = len(all)
			}
			b.ReportMetric(float64(found), "found")
			b.ReportMetric(outputs/took.Seconds(), "written/s")
			b.ReportMetric(float64(usage["outputs"])/outputs, "B/output")
		})
	}
}
