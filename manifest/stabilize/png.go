package stabilize

import (
	"bytes"
	"encoding/binary"
	"io"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// maxChunks bounds how many chunks of an image are looked at.
const maxChunks = 100_000

func isPNG(head []byte) bool { return bytes.HasPrefix(head, []byte(pngMagic)) }

// pngTimes finds the chunk tIME, and texts whose keyword is that of a time. The format: W3C,
// "Portable Network Graphics", chunks; the keywords are the specification's and ImageMagick's.
func pngTimes(_ string, r io.ReaderAt, size int64) (cuts []Range) {
	if !isPNG(part(r, size, 0, int64(len(pngMagic)))) {
		return nil
	}
	at := int64(len(pngMagic))
	for range maxChunks {
		header := part(r, size, at, 8)
		if header == nil {
			return cuts
		}
		length := int64(binary.BigEndian.Uint32(header))
		next := at + 8 + length + 4 // with its CRC
		if next > size {
			return cuts
		}
		switch string(header[4:]) {
		case "tIME":
			cuts = append(cuts, Range{at, next})
		case "tEXt", "zTXt", "iTXt":
			keyword, _, _ := bytes.Cut(part(r, size, at+8, min(length, 80)), []byte{0})
			switch string(keyword) {
			case "Creation Time", "date:create", "date:modify", "date:timestamp":
				cuts = append(cuts, Range{at, next})
			}
		case "IEND":
			return cuts
		}
		at = next
	}
	return cuts
}
