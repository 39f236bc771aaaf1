package attestation

import "crypto/sha256"

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
