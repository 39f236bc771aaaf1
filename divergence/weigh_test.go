package divergence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// TestWeigh says of each claim why it does not move the verdict.
func TestWeigh(t *testing.T) {
	x, y := attestation.Digest{1}, attestation.Digest{2}
	o := outputOf([]divergence.Claim{
		{Builder: 0, Digest: x, Index: 1, Document: true, SignedAt: 100},
		{Builder: 0, Digest: y, Index: 2, Document: true, SignedAt: 200},
		{Builder: 0, Digest: x, Index: 3},
		{Builder: 0, Digest: x, Index: 6, Document: true},
		{Builder: 1, Digest: x, Index: 4, Document: true, SignedAt: 100, Ambiguous: true},
		{Builder: 1, Digest: y, Index: 4, Document: true, SignedAt: 100, Ambiguous: true},
		{Builder: 4, Digest: y, Index: 5, Document: true, SignedAt: 900}, // does not count
	})
	got := map[uint64]divergence.Standing{}
	for c, standing := range o.Weigh(byNumber{}) {
		got[c.Index] = standing
	}
	want := map[uint64]divergence.Standing{
		1: divergence.Superseded, 2: divergence.Stands, 3: divergence.Stands, 4: divergence.AmbiguousName, 5: divergence.Uncounted, 6: divergence.Stands,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
