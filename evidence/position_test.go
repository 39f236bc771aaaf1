package evidence

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet/attestation"
)

func TestPosition(t *testing.T) {
	type said struct {
		at      int64
		digests []attestation.Digest
	}
	a, b, c := attestation.Digest{1}, attestation.Digest{2}, attestation.Digest{3}
	for _, test := range []struct {
		name string
		said []said
		want Position
		// judged is what moves a verdict.
		judged []attestation.Digest
	}{
		{"one", []said{{1, []attestation.Digest{a}}}, Position{SignedAt: time.Unix(1, 0), Digests: []attestation.Digest{a}}, []attestation.Digest{a}},
		{"later replaces", []said{{1, []attestation.Digest{a}}, {2, []attestation.Digest{b}}}, Position{SignedAt: time.Unix(2, 0), Digests: []attestation.Digest{b}}, []attestation.Digest{b}},
		{"same second: both", []said{{1, []attestation.Digest{b}}, {1, []attestation.Digest{a}}}, Position{SignedAt: time.Unix(1, 0), Digests: []attestation.Digest{a, b}}, []attestation.Digest{a, b}},
		{"repeated", []said{{1, []attestation.Digest{a}}, {1, []attestation.Digest{a}}}, Position{SignedAt: time.Unix(1, 0), Digests: []attestation.Digest{a}}, []attestation.Digest{a}},
		{"ambiguous", []said{{1, []attestation.Digest{a, b}}}, Position{SignedAt: time.Unix(1, 0), Ambiguous: true, Digests: []attestation.Digest{a, b}}, nil},
		{"ambiguity taken back", []said{{1, []attestation.Digest{a, b}}, {2, []attestation.Digest{a}}}, Position{SignedAt: time.Unix(2, 0), Digests: []attestation.Digest{a}}, []attestation.Digest{a}},
		{"ambiguity later", []said{{1, []attestation.Digest{c}}, {2, []attestation.Digest{a, b}}}, Position{SignedAt: time.Unix(2, 0), Ambiguous: true, Digests: []attestation.Digest{a, b}}, nil},
		{"ambiguity in the same second", []said{{2, []attestation.Digest{c}}, {2, []attestation.Digest{a, b}}}, Position{SignedAt: time.Unix(2, 0), Ambiguous: true, Digests: []attestation.Digest{a, b, c}}, nil},
		{"signed at the epoch", []said{{0, []attestation.Digest{a}}}, Position{SignedAt: time.Unix(0, 0), Digests: []attestation.Digest{a}}, []attestation.Digest{a}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, order := range []string{"forward", "backward"} {
				var got Position
				for _, s := range test.said {
					got.Add(time.Unix(s.at, 0), s.digests...)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", order, diff)
				}
				if diff := cmp.Diff(test.judged, got.Judged()); diff != "" {
					t.Errorf("%s, judged (-want +got):\n%s", order, diff)
				}
				last := test.said[len(test.said)-1]
				if got.Add(time.Unix(last.at, 0), last.digests...) {
					t.Errorf("%s: saying the same again changed the position", order)
				}
				slices.Reverse(test.said)
			}
		})
	}
}

func TestOnlyProvenStatesCount(t *testing.T) {
	var zero State
	for s, want := range map[State]bool{zero: false, Bad: false, UnknownKey: false, Revoked: false, OutsideValidity: false, ExpiredSince: true, Valid: true} {
		if s.Counts() != want {
			t.Errorf("%s counts: %t", s, !want)
		}
	}
}
