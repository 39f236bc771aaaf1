package attestation

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A Prefix is the first bits of an [OutputID], four to each of its lower-case hexadecimal
// digits. The outputs whose IDs begin with it are a bucket: who asks for a bucket does not
// tell which output in it is meant.
type Prefix string

// The number of digits that a prefix has: 12 to 20 bits.
const (
	MinPrefix = 3
	MaxPrefix = 5
)

// Prefix returns the first digits of the ID, a number from [MinPrefix] to [MaxPrefix].
func (id OutputID) Prefix(digits int) Prefix { return Prefix(hex.EncodeToString(id[:])[:digits]) }

// ParsePrefix reads a prefix.
func ParsePrefix(text string) (Prefix, error) {
	if len(text) < MinPrefix || len(text) > MaxPrefix || strings.Trim(text, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%.20q is not %d to %d of the digits 0-9 and a-f, with which the IDs of outputs begin", text, MinPrefix, MaxPrefix)
	}
	return Prefix(text), nil
}

// Has reports whether an ID begins with the prefix.
func (p Prefix) Has(id OutputID) bool { return id.Prefix(len(p)) == p }

// First returns the least ID that begins with the prefix.
func (p Prefix) First() OutputID { return p.filled("0") }

// Last returns the greatest ID that begins with the prefix.
func (p Prefix) Last() OutputID { return p.filled("f") }

func (p Prefix) filled(digit string) (id OutputID) {
	text := string(p) + strings.Repeat(digit, 2*len(id)-len(p))
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		panic(fmt.Errorf("prefix %q was not parsed: %w", p, err))
	}
	return id
}
