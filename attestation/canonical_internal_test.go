package attestation

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"repronet.dev/internal/canonical/canonicaltest"
)

// TestCanonical holds the reader of the one spelling against the strict parser: whatever it
// accepts, that one reads the same.
func TestCanonical(t *testing.T) {
	canonicaltest.Compare(t, canonicaltest.Inputs, canonicalTexts(t), canonicalDiffers)
}

func FuzzCanonical(f *testing.F) {
	for _, text := range canonicalTexts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := canonicalDiffers(text); err != nil {
			t.Fatal(err)
		}
	})
}

func canonicalDiffers(text []byte) (accepted bool, err error) {
	quick := parseCanonical(text)
	if quick == nil {
		return false, nil
	}
	strict, err := parseStrict(text)
	if err != nil {
		return false, fmt.Errorf("the strict parser refuses it: %w", err)
	}
	if !reflect.DeepEqual(quick, strict) {
		return false, fmt.Errorf("read as\n%+v\nby the strict parser as\n%+v", quick, strict)
	}
	return true, nil
}

// canonicalTexts are statements of each type with and without each member, as Encode
// writes them.
func canonicalTexts(t testing.TB) (texts [][]byte) {
	finished := time.Date(2026, 3, 1, 12, 0, 0, 120_000_000, time.UTC)
	one, two := Digest{1, 0xab}, Digest{2, 0xcd}
	for _, s := range []*Statement{
		{
			Type: Rebuild, Ecosystem: "generic", DigestKind: File, Subjects: []Subject{{"p/f", one}},
			Builds: []Build{{Name: "p/b", Outputs: []int{0}, Finished: finished, Occasion: OccasionBuild}},
		},
		{
			Type: Rebuild, Ecosystem: "generic", DigestKind: File, Subjects: []Subject{{"p/f", one}, {"p/g", two}, {"q/f", one}},
			Chain:       Chain{Stream: "00112233445566778899aabbccddeeff", Sequence: 41, Previous: one, Skipped: []Digest{one, two}},
			Environment: map[string]string{"system": "x86_64-linux", "cpu": "Ryzen™ 7", "tz": "+01:00"},
			Audience:    []string{"repro.example.org/2026", "localhost:8080/repronet"},
			Builds: []Build{
				{Name: "p/b", Outputs: []int{1, 0}, Started: finished.Add(-time.Minute), Finished: finished, Occasion: OccasionBuild, InputsDigest: two},
				{Name: "q/b", Outputs: []int{2}, Finished: finished.Truncate(time.Second), Occasion: OccasionRebuild},
			},
		},
		{
			Type: BuildFailed, Ecosystem: "generic", DigestKind: File, Subjects: []Subject{{"alice/tool-1.0", one}},
			Builds: []Build{{Name: "alice/tool-1.0", Outputs: []int{0}, Finished: finished, Occasion: OccasionBuild, Failure: "exit status 2"}},
		},
		{
			Type: Withdraw, Ecosystem: "debian", DigestKind: File, Reason: "disk was failing",
			Subjects: []Subject{{"hello@2.10-3/amd64^hello_2.10-3_amd64.deb", one}},
		},
	} {
		text, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}
