package signing

import (
	"bytes"
	"encoding/base64"
)

// HintedBuilder returns the builder that a bundle seems to be of, by the hint in it, without
// reading it; empty if it has none that is spelled as usual. It is a guess that costs next to
// nothing, for queues of bundles that are not read yet, and nothing is believed by it.
func HintedBuilder(bundle []byte) BuilderID {
	_, rest, found := bytes.Cut(bundle, []byte(`"hint"`))
	rest, colon := bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte(":"))
	rest, quoted := bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte(`"`))
	var sum [32]byte
	size := base64.StdEncoding.EncodedLen(len(sum))
	if !found || !colon || !quoted || len(rest) <= size || rest[size] != '"' {
		return ""
	}
	room := make([]byte, base64.StdEncoding.DecodedLen(size))
	if n, err := base64.StdEncoding.Strict().Decode(room, rest[:size]); err != nil || n != len(sum) {
		return ""
	}
	copy(sum[:], room)
	return builderID(sum)
}
