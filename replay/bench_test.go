package replay_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/replay"
	"repronet.dev/signing"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// BenchmarkReplay replays 400,000 claims of five builders on 80,000 outputs, in
// statements of 10 and of 100 outputs, from a mirror on disk.
func BenchmarkReplay(b *testing.B) {
	for _, outputs := range []int{10, 100} {
		b.Run(fmt.Sprintf("outputs=%d", outputs), func(b *testing.B) {
			const claims, builders = 400_000, 5
			m := mirrorOf(b, claims/outputs, outputs, builders)
			l := replay.Ledger{Tree: m.Tree(), Size: m.Tree().Size()}
			var err error
			if l.Roster, err = m.RosterEntries(); err != nil {
				b.Fatal(err)
			}
			var heap uint64
			begin := cpuTime(b)
			for b.Loop() {
				r, err := replay.Read(b.Context(), replay.Config{Dir: b.TempDir(), Attachment: nothing}, l)
				if err != nil {
					b.Fatal(err)
				}
				var judged int
				if err := r.Judge(b.Context(), func(*replay.Output) error { judged++; return nil }); err != nil {
					b.Fatal(err)
				}
				if judged != claims/builders || r.Totals.Observations != claims {
					b.Fatalf("%d outputs, %+v", judged, r.Totals)
				}
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				heap = max(heap, stats.HeapSys)
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(claims*float64(b.N)/b.Elapsed().Seconds(), "claims/s")
			b.ReportMetric((cpuTime(b)-begin).Seconds()*1e6/(claims*float64(b.N)), "cpu-µs/claim")
			b.ReportMetric(float64(heap)/(1<<20), "MiB-heap")
		})
	}
}

// cpuTime is what the process has used of all processors: what does not depend on
// who else uses them.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func nothing(context.Context, attestation.Digest) ([]byte, error) {
	return nil, errors.New("no package sets")
}

func mirrorOf(b *testing.B, entries, outputs, builders int) *verify.Mirror {
	l := verifytest.NewLedger(b)
	signers := make([]*signing.Signer, builders)
	for i := range signers {
		signers[i] = l.Enrol(fmt.Sprintf("operator-%d", i))
	}
	finished := time.Now()
	var group errgroup.Group
	group.SetLimit(64)
	for e := range entries {
		s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
		for o := range outputs {
			n := e/builders*outputs + o
			name := fmt.Sprintf("/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-%d", n)
			s.Subjects = append(s.Subjects, attestation.Subject{Name: name, Digest: attestation.Digest{1, byte(n), byte(n >> 8), byte(n >> 16)}})
			s.Builds = append(s.Builds, attestation.Build{
				Name: name + ".drv", Outputs: []int{o}, Started: finished, Finished: finished, Occasion: attestation.OccasionBuild,
			})
		}
		group.Go(func() error {
			l.Append(ledger.Attestation, verifytest.Sign(b, signers[e%builders], s))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	l.Publish()
	m, err := verify.OpenMirror(b.Context(), b.TempDir(), l.Key.Verifier())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	if err := m.Update(b.Context(), ledger.Dir(l.Dir), func(string, uint64, uint64) {}); err != nil {
		b.Fatal(err)
	}
	return m
}
