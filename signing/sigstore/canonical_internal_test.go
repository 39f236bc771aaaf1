package sigstore

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"repronet.dev/internal/canonical/canonicaltest"
	"repronet.dev/signing"
)

// TestCanonical holds the check of a signature that goes around sigstore-go against
// sigstore-go's, on bundles that are almost right.
func TestCanonical(t *testing.T) {
	signer, err := signing.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	var texts [][]byte
	for _, payload := range []string{"a", "a longer payload"} {
		text, err := signer.SignPayload(t.Context(), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	canonicaltest.Compare(t, canonicaltest.Inputs/100, texts, func(text []byte) (accepted bool, err error) {
		u, err := parseBundle(text)
		if err != nil || !u.Canonical() {
			return false, nil //nolint:nilerr // what is refused is package signing's subject
		}
		quick, thorough := u.checkSignature(signer.Public()), u.checkBySigstore(signer.Public())
		if (quick == nil) != (thorough == nil) {
			return false, fmt.Errorf("%w, by sigstore-go %w", quick, thorough)
		}
		return true, nil
	})
}
