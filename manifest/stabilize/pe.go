package stabilize

import (
	"bytes"
	"encoding/binary"
	"io"
)

func isMZ(head []byte) bool { return bytes.HasPrefix(head, []byte("MZ")) }

// peTime finds TimeDateStamp and CheckSum in the headers of a PE file. The format: Microsoft,
// "PE Format", COFF File Header and Optional Header.
func peTime(_ string, r io.ReaderAt, size int64) []Range {
	dos := part(r, size, 0, 64)
	if !isMZ(dos) {
		return nil
	}
	at := int64(binary.LittleEndian.Uint32(dos[60:]))
	header := part(r, size, at, 4+20+68)
	if !bytes.HasPrefix(header, []byte("PE\x00\x00")) {
		return nil
	}
	cuts := []Range{{at + 8, at + 12}}
	if binary.LittleEndian.Uint16(header[20:]) >= 68 { // SizeOfOptionalHeader
		cuts = append(cuts, Range{at + 24 + 64, at + 24 + 68})
	}
	return cuts
}
