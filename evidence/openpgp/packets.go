package openpgp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// Tags of packets (RFC 9580, section 5).
const (
	tagSecretKey    = 5
	tagPublicKey    = 6
	tagSecretSubkey = 7
)

// maxBlocks bounds the armored blocks of one file.
const maxBlocks = 256

// dearmor returns the packets of an armored or binary file. Several armored
// blocks, as of files put together, are read as one; text around them is
// ignored. An armored block must be complete.
func dearmor(data []byte, blockType string) ([]byte, error) {
	if len(data) > 0 && data[0]&0x80 != 0 {
		return data, nil
	}
	begin, end := []byte("-----BEGIN "+blockType+"-----"), []byte("-----END "+blockType+"-----")
	var packets []byte
	for blocks := 0; ; blocks++ {
		start := bytes.Index(data, begin)
		if start < 0 {
			if blocks == 0 {
				return nil, fmt.Errorf("contains no block %q", blockType)
			}
			return packets, nil
		}
		if blocks == maxBlocks {
			return nil, fmt.Errorf("contains more than %d armored blocks", maxBlocks)
		}
		data = data[start:]
		length := bytes.Index(data, end)
		if length < 0 {
			return nil, errors.New("the armor is cut off: it has no END line")
		}
		length += len(end)
		block, err := armor.Decode(bytes.NewReader(data[:length]))
		if err != nil || block.Type != blockType {
			return nil, errors.New("the armor's headers are malformed")
		}
		content, err := io.ReadAll(block.Body)
		if err != nil {
			return nil, fmt.Errorf("the armor is malformed: %w", err)
		}
		packets = append(packets, content...)
		data = data[length:]
	}
}

// nextPacket returns the tag of the first packet of data and its length with its
// header. Lengths that only streams need (partial, indeterminate) are refused.
func nextPacket(data []byte) (tag byte, length int, err error) {
	header, size := 0, uint64(0)
	switch first := data[0]; {
	case first&0x80 == 0:
		return 0, 0, errors.New("no OpenPGP packet begins where one should")
	case first&0x40 != 0: // new format
		tag = first & 0x3f
		switch {
		case len(data) >= 2 && data[1] < 192:
			header, size = 2, uint64(data[1])
		case len(data) >= 3 && data[1] < 224:
			header, size = 3, uint64(data[1]-192)<<8+uint64(data[2])+192
		case len(data) >= 6 && data[1] == 255:
			header, size = 6, uint64(binary.BigEndian.Uint32(data[2:]))
		default:
			return 0, 0, errors.New("a packet's length is malformed")
		}
	default: // old format
		tag = first >> 2 & 0xf
		n := 1 << (first & 3)
		if n > 4 || len(data) < 1+n {
			return 0, 0, errors.New("a packet's length is malformed")
		}
		for _, b := range data[1 : 1+n] {
			size = size<<8 | uint64(b)
		}
		header = 1 + n
	}
	if size > uint64(len(data)-header) {
		return 0, 0, errors.New("the last packet is cut off")
	}
	return tag, header + int(size), nil
}

// splitCertificates cuts packets where a public key begins.
func splitCertificates(packets []byte) ([][]byte, error) {
	var certificates [][]byte
	start := 0
	for at := 0; at < len(packets); {
		tag, length, err := nextPacket(packets[at:])
		if err != nil {
			return nil, err
		}
		switch {
		case tag == tagSecretKey || tag == tagSecretSubkey:
			return nil, errors.New("contains a secret key: keep it secret, and give the output of gpg --export")
		case tag == tagPublicKey && at > 0:
			certificates = append(certificates, packets[start:at:at])
			start = at
		case at == 0 && tag != tagPublicKey:
			return nil, errors.New("does not begin with a public key")
		}
		at += length
	}
	if start == len(packets) {
		return nil, errors.New("contains no public key")
	}
	return append(certificates, packets[start:]), nil
}
