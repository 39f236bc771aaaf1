package openpgp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
)

// A Clearsigned is one message of a clearsigned file, taken apart: a text, and
// signatures over it that are as good as detached ones.
type Clearsigned struct{ Text, Signature []byte }

var (
	clearsignedBegin = []byte("-----BEGIN PGP SIGNED MESSAGE-----")
	signatureBegin   = []byte("\n-----BEGIN PGP SIGNATURE-----")
	signatureEnd     = []byte("\n-----END PGP SIGNATURE-----")
)

// IsClearsigned reports whether a file that begins with these bytes has a
// clearsigned message there, perhaps after other text.
func IsClearsigned(begin []byte) bool {
	return bytes.HasPrefix(begin, clearsignedBegin) || bytes.Contains(begin, append([]byte("\n"), clearsignedBegin...))
}

// maxMessages bounds the messages of one clearsigned file.
const maxMessages = 64

// ParseClearsigned takes the messages of a clearsigned file (RFC 9580, section 7)
// apart. The text is what the signatures cover: without the dashes that escape
// lines, without blanks at lines' ends, without the last line's end. Signatures of a text
// document over it verify as the message does. What stands around the messages is
// signed by nobody, and left out.
func ParseClearsigned(data []byte) ([]Clearsigned, error) {
	var messages []Clearsigned
	for {
		block, rest := clearsign.Decode(data)
		if block == nil {
			break
		}
		if len(messages) == maxMessages {
			return nil, fmt.Errorf("contains more than %d clearsigned messages", maxMessages)
		}
		message := data[:len(data)-len(rest)]
		at := bytes.LastIndex(message, signatureBegin)
		if at < 0 {
			return nil, errors.New("a clearsigned message has no signature")
		}
		signature := message[at+1:]
		// Signers who came later put their signatures behind the first.
		for bytes.HasPrefix(rest, signatureBegin[1:]) {
			end := bytes.Index(rest, signatureEnd)
			if end < 0 {
				return nil, errors.New("a clearsigned message's signature is cut off")
			}
			end += len(signatureEnd)
			signature = slices.Concat(bytes.TrimSpace(signature), []byte("\n"), rest[:end])
			rest = bytes.TrimLeft(rest[end:], "\r\n")
		}
		messages = append(messages, Clearsigned{
			Text: bytes.ReplaceAll(block.Bytes, []byte("\r\n"), []byte("\n")), Signature: bytes.TrimSpace(signature),
		})
		data = rest
	}
	if len(messages) == 0 {
		return nil, errors.New("a clearsigned message is malformed or cut off")
	}
	if IsClearsigned(data) {
		return nil, errors.New("the last clearsigned message is malformed or cut off")
	}
	return messages, nil
}
