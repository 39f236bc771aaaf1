package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// bundleWidth is the number of entries of a full bundle, and of hashes of a full
// tile (C2SP tlog-tiles).
const bundleWidth = 1 << tileHeight

// maxBundleSize is what 256 entries of the greatest size take.
const maxBundleSize = bundleWidth * (2 + MaxEntrySize)

// parseBundle splits an entry bundle (C2SP tlog-tiles: each entry after its
// length in 16 bits, big-endian) into its first width entries. One that has more
// than 256 is malformed. The entries share the memory of data.
func parseBundle(data []byte, width int) ([][]byte, error) {
	entries := make([][]byte, 0, width)
	for n := 0; len(data) > 0; n++ {
		if len(data) < 2 {
			return nil, errors.New("the bundle ends within an entry's length")
		}
		size := int(binary.BigEndian.Uint16(data))
		data = data[2:]
		if size > len(data) {
			return nil, fmt.Errorf("the bundle ends within entry %d", n)
		}
		if n == bundleWidth {
			return nil, fmt.Errorf("the bundle has more than %d entries", bundleWidth)
		}
		if n < width {
			entries = append(entries, data[:size:size])
		}
		data = data[size:]
	}
	if len(entries) < width {
		return nil, fmt.Errorf("the bundle has %d entries, %d are needed", len(entries), width)
	}
	return entries, nil
}

// joinBundle is the opposite of parseBundle.
func joinBundle(entries [][]byte) []byte {
	size := 0
	for _, e := range entries {
		size += 2 + len(e)
	}
	buf := make([]byte, 0, size)
	for _, e := range entries {
		buf = AppendToBundle(buf, e)
	}
	return buf
}
