package signing

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"repronet.dev/internal/canonical/canonicaltest"
)

// TestCanonical holds the reader of the one spelling against protojson: whatever it accepts,
// that one reads the same.
func TestCanonical(t *testing.T) {
	canonicaltest.Compare(t, canonicaltest.Inputs, canonicalTexts(), canonicalDiffers)
}

func FuzzCanonical(f *testing.F) {
	for _, text := range canonicalTexts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := canonicalDiffers(text); err != nil {
			t.Fatal(err)
		}
	})
}

// TestEncodeCanonical: what is written is what protojson writes, but for spaces.
func TestEncodeCanonical(t *testing.T) {
	for _, text := range canonicalTexts() {
		b := parseCanonical(text)
		if b == nil {
			t.Fatalf("%s is not canonical", text)
		}
		written, err := protojson.Marshal(b.Message())
		if err != nil {
			t.Fatal(err)
		}
		if want := bytes.ReplaceAll(written, []byte(", "), []byte(",")); !bytes.Equal(text, want) {
			t.Errorf("%s\nwant %s", text, want)
		}
		if spaced := bytes.ReplaceAll(text, []byte(`,"`), []byte(`, "`)); parseCanonical(spaced) == nil {
			t.Errorf("%s is not canonical", spaced)
		}
	}
}

func canonicalDiffers(text []byte) (accepted bool, err error) {
	quick := parseCanonical(text)
	if quick == nil {
		return false, nil
	}
	strict, err := parseAny(text)
	if err != nil {
		return false, fmt.Errorf("the strict parser refuses it: %w", err)
	}
	if quick.Builder != strict.Builder || strict.Certificate != nil || !bytes.Equal(quick.Payload, strict.Payload) ||
		!bytes.Equal(quick.Signature, strict.Signature) || !proto.Equal(quick.Message(), strict.Message()) {
		return false, errors.New("read otherwise")
	}
	return true, nil
}

func canonicalTexts() (texts [][]byte) {
	hint := (&PublicKey{sum: [32]byte{1, 2, 3}}).Hint()
	for _, payload := range []string{"a", "ab", "abc", `{"_type":"https://in-toto.io/Statement/v1"}`} {
		texts = append(texts, encodeCanonical(hint, []byte(payload), bytes.Repeat([]byte{0xfb, 0x7f}, 32)))
	}
	return texts
}
