package manifest

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Pack compresses a document, or lines, to be stored.
func Pack(text []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(text, nil), nil
}

// Unpack returns what [Pack] was given, up to [MaxDocument] bytes.
func Unpack(packed []byte) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxDocument))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	text, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking a manifest: %w", err)
	}
	return text, nil
}
