package ledger

import (
	"encoding/binary"
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// TilePath is where a log keeps a tile (C2SP tlog-tiles): the one of number n at a
// level, with so many hashes, or the entry bundle of number n if the level is -1.
// A width of [BundleWidth] is that of a complete one.
func TilePath(level int, n uint64, width int) string {
	return tilePath(tlog.Tile{H: tileHeight, L: level, N: int64(n), W: width})
}

// ParseBundle splits an entry bundle into its first width encoded entries, which
// share its memory.
func ParseBundle(data []byte, width int) ([][]byte, error) { return parseBundle(data, width) }

// AppendToBundle appends an encoded entry to a bundle.
func AppendToBundle(bundle, entry []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
	return append(bundle, entry...)
}

// MaxBundleSize bounds an entry bundle in bytes.
const MaxBundleSize = maxBundleSize

// ErrUnavailable is wrapped by the error of a ledger that takes no entries or signs
// nothing for now, because of its disk or its clock. It goes on by itself when what
// the error names has ended.
var ErrUnavailable = errors.New("the ledger takes no entries now")
