package stabilize

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Limits of what is read of an ELF file: real ones have about a dozen segments, some dozen
// sections, and notes of some hundred bytes.
const (
	maxHeaders  = 1000
	maxNotes    = 64 << 10
	maxAllNotes = 256 << 10 // of all segments and sections, which may be of the same bytes
)

func isELF(head []byte) bool { return bytes.HasPrefix(head, []byte("\x7fELF")) }

// An elfTable says where an ELF file tells of its segments or sections, and of each what it is
// and where.
type elfTable struct {
	offset, entry, count    int   // in the file's header
	kind, start, size, note int64 // in each entry; note is the kind of one with notes
}

// elfTables are the segments' and the sections', for 32 and 64 bits. Both, since sections can
// be stripped, and the linker of Go puts not all notes into a segment. The format: elf(5).
var elfTables = map[byte][2]elfTable{
	1: {{28, 42, 44, 0, 4, 16, 4}, {32, 46, 48, 4, 16, 20, 7}}, // ELFCLASS32: PT_NOTE, SHT_NOTE
	2: {{32, 54, 56, 0, 8, 32, 4}, {40, 58, 60, 4, 24, 32, 7}}, // ELFCLASS64
}

// buildIDs finds the descriptors of the notes NT_GNU_BUILD_ID and Go's build id.
func buildIDs(_ string, r io.ReaderAt, size int64) (cuts []Range) {
	header := part(r, size, 0, 64)
	if !isELF(header) {
		return nil
	}
	class := header[4] // EI_CLASS
	var order binary.ByteOrder = binary.LittleEndian
	if header[5] == 2 { // EI_DATA: ELFDATA2MSB
		order = binary.BigEndian
	}
	number := func(b []byte, at int64) int64 { // an address or a length
		if class == 2 {
			return int64(order.Uint64(b[at:]))
		}
		return int64(order.Uint32(b[at:]))
	}
	left := int64(maxAllNotes)
	for _, t := range elfTables[class] {
		table, entry := number(header, int64(t.offset)), int64(order.Uint16(header[t.entry:]))
		if entry < t.size+8 || entry > maxNotes {
			continue
		}
		for i := range min(int64(order.Uint16(header[t.count:])), maxHeaders) {
			b := part(r, size, table+i*entry, entry)
			if b == nil || int64(order.Uint32(b[t.kind:])) != t.note {
				continue
			}
			if at, length := number(b, t.start), number(b, t.size); length > 0 && length <= min(maxNotes, left) {
				left -= length
				cuts = append(cuts, idsIn(part(r, size, at, length), at, order)...)
			}
		}
	}
	return cuts
}

// idsIn finds the build ids in notes that begin at a place of the file.
func idsIn(notes []byte, at int64, order binary.ByteOrder) (cuts []Range) {
	const header = 12
	for p := 0; len(notes)-p >= header; {
		name, descriptor, kind := int64(order.Uint32(notes[p:])), int64(order.Uint32(notes[p+4:])), order.Uint32(notes[p+8:])
		start := int64(p) + header + pad4(name)
		end := start + descriptor
		if end > int64(len(notes)) {
			return cuts
		}
		switch owner := notes[p+header : int64(p)+header+name]; {
		case descriptor == 0:
		case string(owner) == "GNU\x00" && kind == 3, string(owner) == "Go\x00\x00" && kind == 4:
			cuts = append(cuts, Range{at + start, at + end})
		}
		p = int(min(start+pad4(descriptor), int64(len(notes))))
	}
	return cuts
}

// pad4 is a length with what fills it up to a multiple of four.
func pad4(n int64) int64 { return (n + 3) &^ 3 }
