package attestation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
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
