package outputmap

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"repronet.dev/attestation"
)

// benchOutputs is how many outputs the benchmarks' map has, with 5 entries each.
func benchOutputs(b *testing.B) int {
	text := os.Getenv("OUTPUTMAP_BENCH_OUTPUTS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func numbered(n int) attestation.OutputID {
	var text [8]byte
	binary.BigEndian.PutUint64(text[:], uint64(n))
	sum := sha256.Sum256(text[:])
	return attestation.OutputID(sum[:20])
}

// peak is the greatest resident size that the process had, in MiB.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

// fill adds 5 entries of each output, in entries of 8 outputs.
func fill(b *testing.B, outputs int) (sorter *Sorter, size uint64) {
	sorter = NewSorter(b.TempDir())
	b.Cleanup(func() { sorter.Close() })
	keys := make([]attestation.OutputID, 0, 8)
	for range 5 {
		for i := 0; i < outputs; {
			for keys = keys[:0]; i < outputs && len(keys) < cap(keys); i++ {
				keys = append(keys, numbered(i))
			}
			if err := sorter.Add(size, keys...); err != nil {
				b.Fatal(err)
			}
			size++
		}
	}
	return sorter, size
}

func BenchmarkSort(b *testing.B) {
	outputs := benchOutputs(b)
	for b.Loop() {
		sorter, size := fill(b, outputs)
		n := 0
		for _, err := range sorter.Pairs(nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 5*outputs || size == 0 {
			b.Fatalf("%d pairs", n)
		}
	}
	b.ReportMetric(float64(5*outputs)*float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
	b.ReportMetric(peak(b), "MiB-peak")
}

// BenchmarkBuild is of sorted pairs.
func BenchmarkBuild(b *testing.B) {
	outputs := benchOutputs(b)
	dir := b.TempDir()
	sorter, size := fill(b, outputs)
	snapshot, err := Build(filepath.Join(dir, "sorted"), sorter.Pairs(nil), size)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	n := 0
	for b.Loop() {
		n++
		built, err := Build(filepath.Join(dir, strconv.Itoa(n)), NewSorter(dir).Pairs(snapshot), size)
		if err != nil {
			b.Fatal(err)
		}
		if built.Root() != snapshot.Root() {
			b.Fatal("another root")
		}
	}
	b.ReportMetric(float64(outputs)*float64(b.N)/b.Elapsed().Seconds(), "outputs/s")
	b.ReportMetric(peak(b), "MiB-peak")
}

func BenchmarkProve(b *testing.B) {
	outputs := benchOutputs(b)
	sorter, size := fill(b, outputs)
	snapshot, err := Build(filepath.Join(b.TempDir(), "map"), sorter.Pairs(nil), size)
	if err != nil {
		b.Fatal(err)
	}
	for name, first := range map[string]int{"present": 0, "absent": outputs} {
		b.Run(name, func(b *testing.B) {
			n, bytes := 0, 0
			for b.Loop() {
				key := numbered(first + n*7919%outputs)
				n++
				proof, err := snapshot.Prove(key)
				if err != nil {
					b.Fatal(err)
				}
				data, err := proof.Encode()
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(data)
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "bytes/proof")
		})
	}
}
