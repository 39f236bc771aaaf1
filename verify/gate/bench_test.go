package gate

import (
	"crypto/sha256"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkNarinfo measures what the gate adds to a narinfo that it has judged
// before: the gate's answer against upstream's own, over loopback.
func BenchmarkNarinfo(b *testing.B) {
	w := newWorld(b)
	nar := content(100)
	w.agreed(nar, "none", nar)
	ask := func(url string) time.Duration {
		start := time.Now()
		response, err := http.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		if cerr := response.Body.Close(); err != nil || cerr != nil || response.StatusCode != http.StatusOK {
			b.Fatal(response.Status, err, cerr)
		}
		return time.Since(start)
	}
	gate, upstream := w.url+"/"+pathHash+".narinfo", w.gate.upstream.base.String()+"/"+pathHash+".narinfo"
	start := time.Now()
	w.gate.keeper.judge(b.Context(), path, sha256.Sum256(nar), time.Now())
	cold := time.Since(start)
	for range 100 {
		ask(gate)
		ask(upstream)
	}
	var through, direct []time.Duration
	for b.Loop() {
		through, direct = append(through, ask(gate)), append(direct, ask(upstream))
	}
	slices.Sort(through)
	slices.Sort(direct)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	p99 := len(through) * 99 / 100
	b.ReportMetric(ms(through[p99]-direct[p99]), "added-p99-ms")
	b.ReportMetric(ms(through[len(through)/2]-direct[len(direct)/2]), "added-p50-ms")
	b.ReportMetric(ms(cold), "first-ms")
}
