package attestation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// OutputID is a fixed-size name of an output: the first 20 bytes of
// SHA-256(ecosystem ‖ 0 ‖ output key). Its first 12 bytes are what a package
// set's filter lists.
type OutputID [20]byte

// NewOutputID returns the ID of an output key in an ecosystem.
func NewOutputID(ecosystem, key string) OutputID {
	h := sha256.New()
	h.Write([]byte(ecosystem))
	h.Write([]byte{0})
	h.Write([]byte(key))
	var sum [sha256.Size]byte
	return OutputID(h.Sum(sum[:0])[:20])
}

// MarshalText writes the ID in lower-case hexadecimal digits.
func (id OutputID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what [OutputID.MarshalText] writes, and nothing else.
func (id *OutputID) UnmarshalText(text []byte) error {
	if len(text) != 2*len(id) {
		return fmt.Errorf("an output's ID has %d hexadecimal digits, this one has %d characters", 2*len(id), len(text))
	}
	if bytes.ContainsAny(text, "ABCDEF") {
		return errors.New("an output's ID is written in lower case")
	}
	_, err := hex.Decode(id[:], text)
	return err
}
