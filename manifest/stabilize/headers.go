package stabilize

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
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

func isModule(name string) bool { return strings.HasSuffix(name, ".ko") }

// moduleSignature finds the signature that is appended to a module. The format: the kernel's
// include/linux/module_signature.h.
func moduleSignature(name string, r io.ReaderAt, size int64) []Range {
	const magic, info = "~Module signature appended~\n", 12
	end := part(r, size, size-int64(len(magic))-info, int64(len(magic))+info)
	if !isModule(name) || !bytes.HasSuffix(end, []byte(magic)) {
		return nil
	}
	start := size - int64(len(end)) - int64(binary.BigEndian.Uint32(end[8:]))
	if start < 0 {
		return nil
	}
	return []Range{{start, size}}
}
