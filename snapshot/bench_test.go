package snapshot_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/replay"
	"repronet.dev/signing"
	"repronet.dev/snapshot"
	"repronet.dev/verify/verifytest"
)

// BenchmarkMake makes snapshots of 400,000 observations of five builders, in statements of
// 100 outputs, and says how large the files of the observations are. A replay of the same
// alone is replay.BenchmarkReplay.
func BenchmarkMake(b *testing.B) {
	const claims, builders, outputs = 400_000, 5, 100
	l := verifytest.NewLedger(b)
	signers := make([]*signing.Signer, builders)
	for i := range signers {
		signers[i] = l.Enrol(fmt.Sprintf("operator-%d", i))
	}
	var group errgroup.Group
	group.SetLimit(64)
	for e := range claims / outputs {
		s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
		for o := range outputs {
			name := storePath(e/builders*outputs + o)
			s.Subjects = append(s.Subjects, attestation.Subject{Name: name, Digest: attestation.Digest(sha256.Sum256([]byte(name)))})
			s.Builds = append(s.Builds, attestation.Build{Name: name + ".drv", Outputs: []int{o}, Finished: time.Now(), Occasion: attestation.OccasionBuild})
		}
		group.Go(func() error {
			l.Append(ledger.Attestation, verifytest.Sign(b, signers[e%builders], s))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	c := l.Publish()
	found, err := replay.Find(b.Context(), ledger.NewReader(ledger.Dir(l.Dir), l.Key.Verifier()).Tree(c), c.Origin, c.Size)
	if err != nil {
		b.Fatal(err)
	}
	var size int64
	for b.Loop() {
		dir := filepath.Join(b.TempDir(), "snapshot")
		if _, err := snapshot.Make(b.Context(), snapshot.Config{Dir: dir, Ledger: found, Root: c.Root}); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "observations", "nix", time.Now().UTC().Format("2006-01")+".parquet"))
		if err != nil {
			b.Fatal(err)
		}
		size = info.Size()
	}
	b.ReportMetric(claims*float64(b.N)/b.Elapsed().Seconds(), "observations/s")
	b.ReportMetric(float64(size)/claims, "B/observation")
}

// storePath returns a store path as random as one of Nix is.
func storePath(n int) string {
	const digits = "0123456789abcdfghijklmnpqrsvwxyz"
	hash := make([]byte, 32)
	for i, c := range sha256.Sum256(fmt.Append(nil, n)) {
		hash[i] = digits[c%32]
	}
	return fmt.Sprintf("/nix/store/%s-hello-%d.1", hash, n%1000)
}
