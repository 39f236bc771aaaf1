package attestation

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/nix-community/go-nix/pkg/nixbase32"
)

// Digest is a SHA-256 digest, 32 bytes. Of what, a statement's
// [Statement.DigestKind] says.
type Digest [sha256.Size]byte

// Hex returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String returns the digest as "sha256:" and 64 lower-case hexadecimal digits.
func (d Digest) String() string { return "sha256:" + d.Hex() }

// IsZero reports whether d is the zero value, which stands for "none".
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText encodes the digest as [Digest.Hex] does.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText accepts exactly 64 lower-case hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := parseHexDigest(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// ParseDigest accepts "sha256:" and 64 lower-case hexadecimal digits, or the
// digits alone.
func ParseDigest(s string) (Digest, error) {
	return parseHexDigest([]byte(strings.TrimPrefix(s, "sha256:")))
}

// ParseAnyDigest accepts a digest in every spelling that programs print and people
// copy: 64 hexadecimal digits in any case, 52 characters of Nix's base 32, or 44 of
// base 64, with or without "sha256:" before them; or SRI, "sha256-" and base 64.
// It is for what people give; formats of ours have one spelling.
func ParseAnyDigest(s string) (Digest, error) {
	digits, sri := strings.CutPrefix(s, "sha256-")
	if !sri {
		digits = strings.TrimPrefix(s, "sha256:")
	}
	var d Digest
	var sum []byte
	var err error
	switch n := len(digits); {
	case n == base64.StdEncoding.EncodedLen(len(d)):
		sum, err = base64.StdEncoding.Strict().DecodeString(digits)
	case sri:
	case n == hex.EncodedLen(len(d)):
		sum, err = hex.DecodeString(digits)
	case n == nixbase32.EncodedLen(len(d)):
		sum, err = nixbase32.DecodeString(digits)
	}
	if err != nil || len(sum) != len(d) {
		return Digest{}, fmt.Errorf("%.80q is not a SHA-256 digest: want 64 hexadecimal digits, 52 characters of Nix's base 32, or sha256- and base 64", s)
	}
	copy(d[:], sum)
	if d.IsZero() {
		return Digest{}, errors.New("the digest is all zeros, which stands for none")
	}
	return d, nil
}

func parseHexDigest(text []byte) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("a SHA-256 digest has 64 hexadecimal digits, this one has %d characters", len(text))
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Digest{}, fmt.Errorf("a SHA-256 digest is written in the digits 0-9 and a-f (lower case), not %q", rune(c))
		}
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return Digest{}, err
	}
	return d, nil
}
