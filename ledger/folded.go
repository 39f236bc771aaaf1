package ledger

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A statement's bundle is JSON around a payload in base 64, which is a third longer than
// the payload and through which no compressor can see. Entries of version 2 hold it folded:
//
//	length of before (uvarint) | before | length of payload (uvarint) | payload | after
//
// of which the body is before ‖ base 64 of payload ‖ after, byte for byte. What is folded is
// one zstd frame, with the file statement.dictionary as the text before it (zstd -D). A body whose payload is
// not in the one spelling of base 64 (RFC 4648, section 4, padded) is held as it is, in an
// entry of version 1.

// payloadMember is what the payload of a DSSE envelope follows, as protojson writes it.
const payloadMember = `"payload":"`

// fold returns the body of a statement folded, and false if it cannot be.
func fold(body []byte) (folded []byte, ok bool) {
	start := bytes.Index(body, []byte(payloadMember)) + len(payloadMember)
	if start < len(payloadMember) {
		return nil, false
	}
	length := bytes.IndexByte(body[start:], '"')
	if length <= 0 {
		return nil, false
	}
	before, text, after := body[:start], body[start:start+length], body[start+length:]
	size := base64.StdEncoding.DecodedLen(length)
	folded = make([]byte, 0, len(body)-length+size+2*binary.MaxVarintLen64)
	folded = append(binary.AppendUvarint(folded, uint64(len(before))), before...)
	payload := make([]byte, size)
	n, err := base64.StdEncoding.Strict().Decode(payload, text)
	if err != nil || base64.StdEncoding.EncodedLen(n) != length { // line breaks are passed over
		return nil, false
	}
	folded = append(binary.AppendUvarint(folded, uint64(n)), payload[:n]...)
	return append(folded, after...), true
}

var errFolded = errors.New("decoding entry: what is folded is malformed")

// unfold is the opposite of fold. What fold would not have made is malformed: an entry has
// one form.
func unfold(folded []byte) ([]byte, error) {
	before, rest, ok := cutSized(folded)
	if !ok {
		return nil, errFolded
	}
	payload, after, ok := cutSized(rest)
	size := len(before) + base64.StdEncoding.EncodedLen(len(payload)) + len(after)
	if !ok || len(payload) == 0 {
		return nil, errFolded
	}
	if size > MaxBodySize {
		return nil, fmt.Errorf("decoding entry: a body of %d bytes: %w (%d)", size, ErrTooLarge, MaxBodySize)
	}
	body := make([]byte, 0, size)
	body = append(body, before...)
	body = base64.StdEncoding.AppendEncode(body, payload)
	body = append(body, after...)
	if bytes.Index(body, []byte(payloadMember))+len(payloadMember) != len(before) || len(after) == 0 || after[0] != '"' {
		return nil, errFolded
	}
	return body, nil
}

// cutSized takes bytes that follow their length.
func cutSized(data []byte) (sized, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) || n != len(binary.AppendUvarint(nil, size)) {
		return nil, nil, false
	}
	return data[n : n+int(size)], data[n+int(size):], true
}

// dictionary is what statements' bundles have in common, for entries of version 2. It is part of
// the format, and never changes. What is likely comes last.
//
//go:embed statement.dictionary
var dictionary []byte

// The coders of what is folded.
var (
	folder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithEncoderDictRaw(0, dictionary))
		if err != nil {
			panic(err) // constant options
		}
		return e
	})
	unfolder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBodySize), zstd.WithDecoderConcurrency(0), zstd.WithDecoderDictRaw(0, dictionary))
		if err != nil {
			panic(err) // constant options
		}
		return d
	})
)
