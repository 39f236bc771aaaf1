package stabilize

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

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
