package sigstore_test

import (
	"fmt"
	"time"

	"repronet.dev/attestation"
)

var finished = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// statementOf returns a statement of n builds with one output each.
func statementOf(n int) *attestation.Statement {
	s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
	for i := range n {
		name := fmt.Sprintf("/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-2.12.%d", i)
		s.Subjects = append(s.Subjects, attestation.Subject{Name: name, Digest: attestation.Digest{1, byte(i), byte(i >> 8)}})
		s.Builds = append(s.Builds, attestation.Build{
			Name: name + ".drv", Outputs: []int{i}, Started: finished.Add(-time.Minute), Finished: finished,
			Occasion: attestation.OccasionBuild, InputsDigest: attestation.Digest{2, byte(i)},
		})
	}
	return s
}
