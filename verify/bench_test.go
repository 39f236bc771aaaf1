package verify_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/verify/verifytest"
)

// BenchmarkMirror measures what a user waits for: fetching, checking and
// indexing a ledger of 2,000 entries with 100 outputs each over loopback, and
// then one output in it.
func BenchmarkMirror(b *testing.B) {
	const entries, outputs = 2000, 100
	l := verifytest.NewLedger(b)
	signer := l.Enrol("alice")
	finished := time.Now()
	name := func(n int) string {
		return fmt.Sprintf("/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-%d", n)
	}
	var group errgroup.Group
	group.SetLimit(64)
	for e := range entries {
		s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
		for o := range outputs {
			n := e*outputs + o
			s.Subjects = append(s.Subjects, attestation.Subject{Name: name(n), Digest: attestation.Digest{1, byte(n), byte(n >> 8), byte(n >> 16)}})
			s.Builds = append(s.Builds, attestation.Build{
				Name: name(n) + ".drv", Outputs: []int{o}, Started: finished, Finished: finished, Occasion: attestation.OccasionBuild,
			})
		}
		group.Go(func() error {
			l.Append(ledger.Attestation, verifytest.Sign(b, signer, s))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	l.Publish()
	pins := l.Pins(l.Serve())
	var fetch, index, lookup time.Duration
	b.ResetTimer()
	for range b.N {
		m, fetched, indexed := verifytest.FillMirror(b, l, pins)
		start := time.Now()
		e, err := m.Evidence(b.Context(), pins, "nix", name(entries*outputs/2))
		if err != nil || len(e.Claims) != 1 {
			b.Fatalf("%+v, %v", e, err)
		}
		fetch, index, lookup = fetch+fetched, index+indexed, lookup+time.Since(start)
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*entries*outputs)/fetch.Seconds(), "fetched-outputs/s")
	b.ReportMetric(float64(b.N*entries*outputs)/index.Seconds(), "indexed-outputs/s")
	b.ReportMetric(float64(lookup.Microseconds())/1000/float64(b.N), "lookup-ms")
}
