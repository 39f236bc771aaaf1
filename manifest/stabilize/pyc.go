package stabilize

import (
	"encoding/binary"
	"io"
	"strings"
)

func isPyc(name string, head []byte) bool {
	return strings.HasSuffix(name, ".pyc") && len(head) >= 4 && string(head[2:4]) == "\r\n"
}

// pycTime finds the modification time of the source in the header of compiled Python, unless
// it has a hash of the source instead. The format: PEP 552.
func pycTime(name string, r io.ReaderAt, size int64) []Range {
	header := part(r, size, 0, 16)
	if !isPyc(name, header) || binary.LittleEndian.Uint32(header[4:]) != 0 {
		return nil
	}
	return []Range{{8, 12}}
}
